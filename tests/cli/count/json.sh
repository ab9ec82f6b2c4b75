seq 10 >ten
verso count --json ten
verso count --json -lwmL ten ten
verso count --json --files0-from=/dev/null
verso count --json nowhere
echo "exit $?"
verso count --json --explain ten 2>/dev/null | python3 -c '
import json, sys
row = json.load(sys.stdin)["files"][0]
print(*sorted(row), row["threads"], row["method"] in ("read", "mapped"), row["why"] != "")'
