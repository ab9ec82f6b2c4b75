# Where memory may not gain the right to be executed, toggled code is said to be forbidden, and two views are not.
python3 - <<'END'
import ctypes, json, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_MDWE = 65
if libc.prctl(PR_SET_MDWE, 1, 0, 0, 0) < 0:
    sys.stderr.write("this kernel has no PR_SET_MDWE (Linux 6.3)\n")
    sys.exit(77)
answer = json.loads(subprocess.run(["verso", "doctor", "--json"], capture_output=True, check=True).stdout)
features = {feature["name"]: feature for feature in answer["features"]}
print(features["PR_SET_MDWE"]["note"])
for name in "executable memory", "executable memfd":
    print(name, features[name]["state"])
END
