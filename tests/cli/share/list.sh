# What there is, as text: in use, abandoned, kept, damaged.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/share/common.bash"
verso share list
hold alive
alive=$holder
trap 'kill "$alive"' EXIT
hold dead
bury
hold stays keep
bury
echo rubbish >names/rubbish
show() { sed -E 's/^( +[0-9.]+ [KMG]?i?B +[0-9.]+ KiB) +[0-9.]+ [KM]iB/\1 MEMORY/'; }
verso share list >text; echo "exit $?"
sort -k 6 text | show | grep -v SIZE
# By name, whatever order the directory has.
names=$(seq 101 130)
for name in $names; do echo rubbish >names/$name; done
verso share list | sed 1d | awk '{ print $NF }' | cmp - <(printf '%s\n' $names alive dead rubbish stays) && echo sorted
rm names/1??
verso share list --members alive >text; echo "exit $?"
show <text | sed "s/ $alive hold  since 20[-0-9]* [:0-9]*$/ PID hold/"
verso share list nobody; echo "exit $?"
