# Also where files can't have no name from the start, and where none can be made.
verso doctor >text
ls -A
mkdir -m 0555 closed
cd closed || exit
TMPDIR=/nowhere verso doctor --json | python3 -c '
import json, os, sys
shared = [feature for feature in json.load(sys.stdin)["features"] if feature["name"] == "MAP_SHARED"][0]
print("current" if os.geteuid() == 0 and "current" in shared["note"] else shared["note"].split(", ")[1])' |
    sed 's|^current$|in /tmp|'
ls -A
