# Only what is missing is read.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file file 4096
verso cache --evict --sync file >evicted || echo "exit $?"
dd if=file of=/dev/null bs="$page" skip=1000 count=1 status=none
before=$(cached file)
((before > 0 && before < 4096)) || echo "before: $before"
verso cache --touch --json file >touched; echo "exit $?"
field touched '(answer["action"], answer["rows"][0]["cached"], answer["rows"][0]["missing"])'
field touched "answer['rows'][0]['read_bytes'] == (4096 - $before) * $page"
field touched "answer['rows'][0]['cached_before'] == $before"
verso cache --touch --json file >again
field again 'answer["total"]["read_bytes"]'
verso cache --touch file | tail -n 1
