# A name goes, whoever is in; who is in goes on.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/share/common.bash"
hold one
trap 'kill "$holder"' EXIT
verso share remove one; echo "exit $?"
ls names
kill -0 "$holder" && echo "goes on"
verso share remove one; echo "exit $?"
echo precious >file
verso share remove ./file; echo "exit $?"
cat file
