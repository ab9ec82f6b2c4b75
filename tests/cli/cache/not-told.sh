# Of files that one may neither write nor own, the kernel tells nothing true: so it is unknown, and why.
file=$(command -v cat)
run=()
if ((EUID == 0)); then
    run=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    if ! "${run[@]}" verso --version >/dev/null 2>&1; then
        echo "verso can't be run by another user from where it is" >&2
        exit 77
    fi
fi
"${run[@]}" verso cache "$file" | tail -n 1; echo "exit ${PIPESTATUS[0]}"
"${run[@]}" verso cache --json "$file" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
print(answer["rows"][0]["cached"], answer["rows"][0]["dirty"], answer["total"]["unknown_files"])'
