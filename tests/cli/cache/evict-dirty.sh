# Dirty pages go only when they have been written; that they stayed is said, and is a no.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file file 16
head -c "$page" /dev/zero | dd of=file conv=notrunc bs="$page" seek=3 status=none
verso cache --json file >dirty
field dirty '(answer["rows"][0]["cached"], answer["rows"][0]["dirty"])'
verso cache file | grep -c '\*'
verso cache --evict --json file >evicted; status=$?
# The kernel began to write by itself: it may have been done before the looking.
field evicted "(answer['rows'][0]['cached'] > 0) == ($status == 1)"
head -c "$page" /dev/zero | dd of=file conv=notrunc bs="$page" seek=3 status=none
verso cache --evict --sync file >text; echo "exit $?"
cached file
