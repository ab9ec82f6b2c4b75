# In place, other names see it, and devices are written to; else a device is never replaced.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
echo 'the old content' >target
ln target name
echo new >source
verso copy --quiet --in-place source target; echo "exit $?"
cat name
verso copy --quiet source target; echo "exit $?"
echo newer >source
verso copy --quiet source target; echo "exit $?"
cat name target
mkfifo fifo
verso copy source fifo; echo "exit $?"
verso copy source /dev/null; echo "exit $?"
stat -c %F /dev/null
cat fifo >got &
verso copy --quiet --in-place source fifo; echo "exit $?"
wait
cat got
verso copy --quiet --in-place source /dev/null; echo "exit $?"
verso copy --quiet --in-place source /dev/full 2>&1 | without_hints; echo "exit ${PIPESTATUS[0]}"
# --delta writes only pages that differ.
page=$(getconf PAGESIZE)
head -c $((100 * page)) /dev/urandom >source
cp source target
printf x | dd of=source bs=1 seek=$((7 * page + 5)) conv=notrunc status=none
verso copy --json --delta source target | python3 -c '
import json, sys
answer = json.load(sys.stdin)
page = int(sys.argv[1])
print(answer["copied_bytes"] // page, answer["same_bytes"] // page)' "$page"
cmp source target && echo same
