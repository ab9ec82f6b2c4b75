echo 1 >file
verso cache file >/dev/full; echo "exit $?"
verso cache --json file >/dev/full; echo "exit $?"
for i in {1..3000}; do echo "$i" >"file-$i"; done
verso cache . | head -n 1 >first; echo "exit ${PIPESTATUS[0]}"
