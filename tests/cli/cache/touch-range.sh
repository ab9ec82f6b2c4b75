# A range that begins and ends inside pages is of all pages it touches; what lies past the end is not there.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file file 64
verso cache --evict --sync file >evicted || echo "exit $?"
verso cache --json --range=$((page / 2))-$((page * 2 + 1)) file >range
field range '(answer["rows"][0]["pages"], answer["rows"][0]["cached"])'
field range "answer['rows'][0]['bytes'] == $page * 3 // 2 + 1"
verso cache --touch --json --range=$((page / 2))-$((page * 2 + 1)) file >touched
field touched '(answer["rows"][0]["pages"], answer["rows"][0]["cached"])'
verso cache --json --range=1T- file >past
field past '(answer["rows"][0]["pages"], answer["rows"][0]["bytes"], answer["rows"][0]["cached"])'
verso cache --json --range=-1T file >whole
field whole 'answer["rows"][0]["pages"]'
verso cache --touch file >touched
verso cache --evict --json --range=$((page * 60))- file >evicted
field evicted '(answer["rows"][0]["pages"], answer["rows"][0]["cached_before"])'
