# Empty directories, sparse files larger than any disk, files without a cache, paths longer than a path may be.
mkdir empty
verso cache empty; echo "exit $?"
truncate -s 1T sparse
verso cache --json sparse | python3 -c '
import json, sys
row = json.load(sys.stdin)["rows"][0]
print(row["bytes"], row["pages"] == row["bytes"] // int(sys.argv[1]), row["cached"])' "$(getconf PAGESIZE)"
verso cache /proc/self/maps /proc/version >virtual; echo "exit $?"
python3 - <<'END'
import os
for _ in range(300):
    os.mkdir("d" * 20)
    os.chdir("d" * 20)
open("deep", "w").write("deep")
END
verso cache --json --only=deep . | python3 -c '
import json, sys
print([len(row["path"]) for row in json.load(sys.stdin)["rows"]])'
