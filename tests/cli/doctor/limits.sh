# A limit of this process that bites is said to, and --strict makes it a no; without it, it is not.
ulimit -Sn 256
verso doctor >text; echo $?
grep -A 2 '^ ! RLIMIT_NOFILE  *bites  *256 descriptors$' text | tail -n 1
verso doctor --strict --json >json; echo $?
python3 -c '
import json
print([limit["value"] for limit in json.load(open("json"))["limits"] if limit["name"] == "RLIMIT_NOFILE"])'
