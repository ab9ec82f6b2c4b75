# Only what is missing is read.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file file 512
verso cache --evict --sync file >evicted || echo "exit $?"
dd if=file of=/dev/null bs="$page" skip=200 count=1 status=none
verso cache --touch --json file >touched; echo "exit $?"
row='answer["rows"][0]'
field touched "answer['action'], $row['cached'], $row['missing'], 0 < $row['cached_before'] < 512"
field touched "$row['read_bytes'] == (512 - $row['cached_before']) * $page"
verso cache --touch --json file >again
field again "$row['read_bytes'] == (512 - $row['cached_before']) * $page"
verso cache --touch --quiet file | tail -n 1 | sed 's/Read .* that/Read .. that/'
