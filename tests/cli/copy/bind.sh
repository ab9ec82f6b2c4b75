# A directory is not copied into itself by way of a bind mount either; other file systems are left out with -x.
if ((EUID != 0)); then
    echo "only root can mount" >&2
    exit 77
fi
if ! unshare --mount true; then
    echo "no mount namespace can be made here" >&2
    exit 77
fi
mkdir -p tree/below/deep elsewhere mounted
echo 1 >tree/file
# shellcheck disable=SC2016 # the inner shell is to expand it
unshare --mount bash -c '
mount --bind tree/below elsewhere || exit 77
verso copy --quiet -j 1 -r tree elsewhere 2>&1 | tail -n 1 | sed "s/.*: //"; echo "exit ${PIPESTATUS[0]}"
find tree -mindepth 8
rm -r tree/below/tree
verso copy --quiet -j 1 -rT tree elsewhere/deep 2>&1 | tail -n 1 | sed "s/.*: //"; echo "exit ${PIPESTATUS[0]}"
find tree -mindepth 8
rm -r tree/below/deep
mount -t tmpfs none mounted || exit 77
mkdir mounted/tree mounted/tree/in
mount -t tmpfs none mounted/tree/in
echo 2 >mounted/tree/in/two
echo 3 >mounted/tree/three
verso copy --quiet -r -x mounted/tree one; echo "exit $?"
find one | sort
verso copy --quiet -r mounted/tree all; echo "exit $?"
find all | sort'
