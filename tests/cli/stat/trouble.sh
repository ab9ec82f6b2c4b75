echo a >a
verso stat nowhere a .; echo "exit $?"
verso stat /proc/self/mem; echo "exit $?"
verso stat --lines a; echo "exit $?"
verso stat a >/dev/full; echo "exit $?"
verso stat --json a >/dev/full; echo "exit $?"
