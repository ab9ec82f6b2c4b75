# All is read and stays, whoever wants it gone, until Ctrl-C; then it is free again.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file file 8
verso cache --evict --sync file >evicted || echo "exit $?"
verso cache --lock file >locked 2>said &
holder=$!
trap 'kill $holder 2>/dev/null' EXIT
until grep -qs holding said; do sleep 0.02; done
tail -n 1 locked | sed "s/$((8 * page / 1024)).0 KiB/8 pages/"
cat said
cached file
verso cache --evict file >text; echo "exit $?"
grep -o "file: locked by verso ($holder)" text | sed "s/$holder/PID/"
kill -INT $holder
wait $holder; echo "exit $?"
verso cache --evict file >text; echo "exit $?"
