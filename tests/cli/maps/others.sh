# Another user's process: refused in one line. Needs root, to be another user.
[[ $(id -u) == 0 ]] || { echo "needs root" >&2; exit 77; }
command -v setpriv >/dev/null || { echo "setpriv (util-linux) is missing" >&2; exit 77; }
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
if ! nobody "$(command -v verso)" --version >version 2>/dev/null; then
    echo "nobody may not run the built command" >&2
    exit 77
fi
coproc cat
pid=$COPROC_PID
trap 'kill "$pid"' EXIT
nobody "$(command -v verso)" maps "$pid" 2>&1 | sed 's|/proc/[0-9]*|/proc/PID|'
nobody "$(command -v verso)" maps self --no-ladder | grep -c '^total'
