# Started with nohup, it outlives its terminal.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
make_file file 8
nohup verso cache --lock file >locked 2>said &
holder=$!
trap 'kill $holder 2>/dev/null' EXIT
until grep -qs holding said; do sleep 0.02; done
kill -HUP $holder
sleep 0.1
kill -0 $holder && echo "still there"
kill $holder
wait $holder
echo "exit $?"
