# A thread of the kernel has no address space, and that is no failure.
[[ $(id -u) == 0 ]] || { echo "needs root" >&2; exit 77; }
if [[ $(cat /proc/2/comm 2>/dev/null) != kthreadd ]]; then
    echo "process 2 is no kernel thread here (a container?)" >&2
    exit 77
fi
verso maps 2
verso maps 2 --json | python3 -c '
import json, sys
answer = json.load(sys.stdin)
print(answer["mappings"], answer["total"])'
