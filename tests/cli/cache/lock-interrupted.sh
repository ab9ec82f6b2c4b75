# Ctrl-C is heard while a large file is still being read, not only when all of it has been.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
if [[ $(ulimit -H -l) != unlimited ]] && ((EUID != 0)); then
    echo "needs a higher limit of locked memory (ulimit -l)" >&2
    exit 77
fi
truncate -s 4G file
verso cache --lock file >locked 2>said &
holder=$!
trap 'kill $holder 2>/dev/null' EXIT
# The kernel counts what is to be locked before it reads it.
until grep -q '^VmLck:.*[1-9]' /proc/$holder/status; do :; done
kill -INT $holder
wait $holder; echo "exit $?"
cat said
(($(cached file) < (4 << 30) / page)) && echo "not all was read"
