# No line for what could not be read: it would look like any other.
echo a >a
verso hash /proc/self/mem a; echo "exit $?"
verso hash nowhere . a; echo "exit $?"
verso hash --json /proc/self/mem; echo "exit $?"
verso hash a >/dev/full; echo "exit $?"
verso hash a >&-; echo "exit $?"
