# Onto itself, into itself, over another kind, by an ambiguous name: told, and nothing is changed.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
mkdir -p tree/below/deep other/tree
echo 1 >tree/file
echo 2 >tree/below/file
ln tree/file name
ln -s tree/file link
ln -s tree alias
ln -s round round
echo 3 >other/file
echo 4 >other/tree/file
before=$(describe .)
try() { verso copy "$@" 2>&1 | without_hints; echo "exit ${PIPESTATUS[0]}"; }
try tree/file tree/file
try tree/file name
try tree/file link
try tree/file tree
try --in-place tree/file name
try -rT tree tree
try -rT tree alias/../tree
try -r tree tree
try -r tree tree/below/deep
try -r tree alias
try -r . tree/below
try -rT tree/ tree/below/deep/new
try tree copy
try round copy
try -rT tree other/file
try -T other/file tree
[[ $(describe .) == "$before" ]] && echo "nothing is changed"
mkdir into
try --quiet tree/file other/file into
cat into/file
try --quiet -r tree other/tree into
cat into/tree/file
rm -r into/tree
mkdir into/tree
try --quiet -r tree other/tree into
cat into/tree/file
try --quiet -r tree other/file/. into
leftovers
