# Only what is abandoned goes.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/share/common.bash"
verso share gc
verso share gc --quiet
hold alive
alive=$holder
trap 'kill "$alive"' EXIT
hold dead
bury
hold stays keep
bury
verso share gc >text; echo "exit $?"
sed 's/, .*//' text
verso share gc --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["regions"])'
ls names
