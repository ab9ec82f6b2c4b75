# What can't be read or written is told, the rest is copied all the same.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
mkdir -p tree/closed to/shut
echo 1 >tree/open
echo 2 >tree/secret
echo 3 >tree/closed/file
run=()
if ((EUID == 0)); then
    chmod 755 .
    chown -R 65534:65534 tree to
    run=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    if ! "${run[@]}" verso --version >/dev/null 2>&1; then
        echo "verso can't be run by another user from where it is" >&2
        exit 77
    fi
    if ! "${run[@]}" test -r tree/open; then
        echo "another user can't get to the directory of the test" >&2
        exit 77
    fi
fi
chmod 000 tree/closed tree/secret
chmod 555 to/shut
"${run[@]}" verso copy --quiet -r tree to/copy 2>&1 | without_hints | sort; echo "exit ${PIPESTATUS[0]}"
ls to/copy
cat to/copy/open
"${run[@]}" verso copy --quiet tree/open to/shut 2>&1 | without_hints; echo "exit ${PIPESTATUS[0]}"
"${run[@]}" verso copy --quiet -r tree to/shut 2>&1 | without_hints; echo "exit ${PIPESTATUS[0]}"
"${run[@]}" verso copy --quiet tree/open tree/closed/copy 2>&1 | without_hints; echo "exit ${PIPESTATUS[0]}"
# The owner of another's file can't be kept: done, and said.
"${run[@]}" verso copy -a /etc/passwd to/passwd 2>&1 | grep -c 'not kept: 1 time the owner'
cmp /etc/passwd to/passwd
# What can't be opened can't be synced: --durable says so of the directory that holds what was named, too.
mkdir to/blind
chmod 333 to/blind
ln -s nowhere link
"${run[@]}" verso copy --quiet -r --durable link to/blind 2>&1; echo "exit $?"
