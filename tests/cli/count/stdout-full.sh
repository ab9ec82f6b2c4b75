seq 10 >ten
verso count ten >/dev/full; echo "exit $?"
verso count --json ten >/dev/full; echo "exit $?"
verso count ten >&-; echo "exit $?"
yes ten | head -n 30000 | tr '\n' '\0' >names
verso count --files0-from=names | head -n 1; echo "exit ${PIPESTATUS[0]}"
