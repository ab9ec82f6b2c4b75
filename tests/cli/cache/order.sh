# Rows by name, or the largest first; only the first; the total is of all.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file c 3
make_file a 9
make_file b 5
verso cache --evict --sync a >evicted || echo "exit $?"
for sort in name cached size percent; do
    verso cache --json --sort=$sort a b c >sorted
    echo "$sort $(field sorted '"".join(row["path"] for row in answer["rows"])')"
done
verso cache --json -S size -n 2 c a b >sorted
field sorted '"".join(row["path"] for row in answer["rows"]), answer["total"]["files"]'
verso cache -S size -n 2 c a b | sed -n 's/^.* \.\.\. //p'
