# In the background by the time the command ends, told by the pid file, which goes with it.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
make_file file 8
verso cache --lock --daemon --pidfile=pid --quiet file >locked; echo "exit $?"
holder=$(<pid)
trap 'kill $holder 2>/dev/null' EXIT
[[ $holder -gt 1 && $holder != "$$" ]] && kill -0 "$holder" && echo running
grep -c VmLck "/proc/$holder/status"
verso cache --lock --daemon --pidfile=pid file; echo "exit $?"
kill "$holder"
while kill -0 "$holder" 2>/dev/null; do sleep 0.02; done
ls pid 2>/dev/null
echo 1 >pid # left by a process that died
verso cache --lock --daemon --pidfile=pid --quiet file >locked; echo "exit $?"
holder=$(<pid)
[[ $holder != 1 ]] && echo "taken over"
