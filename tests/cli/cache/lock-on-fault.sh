# Only what is cached is locked, and nothing is read.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file file 512
verso cache --evict --sync file >evicted || echo "exit $?"
dd if=file of=/dev/null bs="$page" skip=200 count=1 status=none
before=$(cached file)
verso cache --lock --on-fault --json file >locked 2>said &
holder=$!
trap 'kill $holder 2>/dev/null' EXIT
until grep -qs holding said; do sleep 0.02; done
field locked "answer['rows'][0]['locked_bytes'] == $before * $page"
verso cache --evict --json file >evicted
field evicted "answer['rows'][0]['cached'] == $before"
