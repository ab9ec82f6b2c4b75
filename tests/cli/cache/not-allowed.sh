# What can't be opened is told, the rest is done all the same.
mkdir -p tree/closed
echo 1 >tree/open
echo 2 >tree/shut
chmod 000 tree/closed tree/shut
run=()
if ((EUID == 0)); then
    chmod 755 . tree
    chmod 644 tree/open
    run=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    if ! "${run[@]}" verso --version >/dev/null 2>&1; then
        echo "verso can't be run by another user from where it is" >&2
        exit 77
    fi
    if ! "${run[@]}" test -r tree/open; then
        echo "another user can't get to the directory of the test" >&2
        exit 77
    fi
fi
"${run[@]}" verso cache --json tree >json; echo "exit $?"
python3 -c '
import json
answer = json.load(open("json"))
print([row["path"] for row in answer["rows"]], answer["left_out"]["troubles"])'
