# What a process maps stays, and the process is named.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file file 8
mkfifo ready
python3 -c '
import mmap, time
file = open("file", "rb")
map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
sum(map[i] for i in range(0, len(map), mmap.PAGESIZE))
open("ready", "w").close()
time.sleep(60)' &
holder=$!
trap 'kill $holder' EXIT
read -r <ready || true
verso cache --evict file >text; echo "exit $?"
grep -c '^Stayed: .* in use. Most of it:$' text
grep -o "file: mapped by python3 ($holder)" text | sed "s/$holder/PID/"
verso cache --evict --json file >json
field json 'answer["rows"][0]["cached"], answer["rows"][0]["stayed"]["locked"]'
field json "[mapper['pid'] == $holder for mapper in answer['rows'][0]['stayed']['mapped_by']]"
