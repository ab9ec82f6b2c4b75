# Without /proc, what is there is replaced all the same, and for the same people; what can't be asked is told as lost.
if ((EUID != 0)) || ! unshare --mount true; then
    echo "only root can take /proc away" >&2
    exit 77
fi
if ldd "$(type -P verso)" | grep -qE 'lib[at]san'; then
    echo "sanitizers themselves need /proc"
    exit 77
fi >&2
mkdir tree
echo new >tree/file
echo old >target
chmod 640 target
# shellcheck disable=SC2016 # the inner shell is to expand it
unshare --mount bash -c '
umount --lazy /proc || exit 77
verso copy --quiet tree/file target; echo "exit $?"
verso copy --quiet --archive tree copy; echo "exit $?"'
cat target copy/file
stat -c %a target
