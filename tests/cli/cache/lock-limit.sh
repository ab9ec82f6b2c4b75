# Past the limit nothing is held.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
make_file file 8
ulimit -l 1
run=()
if ((EUID == 0)); then # whom no limit holds
    chmod 755 .
    chmod 644 file
    run=(setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock --ambient-caps=-ipc_lock)
fi
"${run[@]}" verso cache --lock file; echo "exit $?"
"${run[@]}" verso cache --lock --daemon file; echo "exit $?"
