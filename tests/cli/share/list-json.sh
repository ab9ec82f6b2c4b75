# The same for programs.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/share/common.bash"
verso share list --json
hold alive
trap 'kill "$holder"' EXIT
verso share list --json >json || echo "exit $?"
python3 - "$holder" <<'END'
import json, os, sys, time
answer = json.load(open("json"))
assert answer["schema"] == 1 and answer["action"] == "list"
region, = answer["regions"]
assert region["name"] == "alive" and region["kind"] == "case" and region["version"] == 2
assert region["bytes"] == 5000 and region["most_bytes"] == 100000 and region["mode"] == "0600"
assert region["file_bytes"] == os.stat("names/alive").st_size
assert region["allocated_bytes"] == os.stat("names/alive").st_blocks * 512
assert region["creator"] == int(sys.argv[1]) and region["owner"] == os.geteuid() and region["layout"] == "0x0"
assert abs(region["created_ns"] / 1e9 - time.time()) < 3600
assert region["error"] == 0 and not region["is_abandoned"] and not region["is_kept"] and not region["has_readers"]
member, = region["members"]
assert member["pid"] == int(sys.argv[1]) and member["command"] == "hold" and member["is_same_namespace"]
assert member["number"] == 0 and member["generation"] == 1 and member["user"] == os.geteuid()
print("agree")
END
