# Whatever a file is called, it is copied, and told of in one line.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
mkdir tree
cd tree || exit 1
touch -- $'new\nline' $'\xff\xfe' $'\e[2J' 'back\slash' -dash 'é' ' ' '"quote"' "$(printf 'x%.0s' {1..255})"
mkdir $'directory\n'
touch $'directory\n/file'
cd ..
verso copy -a -v --color=never tree copy 2>told; echo "exit $?"
same tree copy
wc -l <told
grep -c $'\e' told
verso copy --quiet -- tree/-dash copy/-other; echo "exit $?"
verso copy --quiet -a --hash tree hashed >sums; echo "exit $?"
wc -l <sums
grep -a 'new' sums
verso copy -a --json -v tree json >json.json; echo "exit $?"
field json.json 'len(answer["rows"]), sorted(row["source"] for row in answer["rows"] if "source_escaped" in row)'
verso copy --quiet $'tree/no\nsuch' copy; echo "exit $?"
mkdir $'tree/new\ndirectory'
verso copy --quiet $'tree/new\ndirectory' copy; echo "exit $?"
leftovers
