# One channel: counts, places, who holds it up; once in a pipe, as often as asked for as JSON, narrow where it must be.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
[[ $(getconf PAGESIZE) == 4096 ]] || { echo "sizes here are of pages of 4096 bytes" >&2; exit 77; }
verso channel create kept --kind=mpsc --capacity=4096 --lasting
mkfifo input
verso channel send kept <input &
writer=$!
exec 3>input
seq 100 >&3
until verso channel list | grep -q ' 100 .* kept'; do sleep 0.01; done
show() { sed "s/ *$writer / PID /; s/ *$//"; }
verso channel stat kept --interval=0.01 | show
COLUMNS=60 verso channel stat kept --watch --interval=0.01 | show
COLUMNS=40 verso channel stat kept --interval=0.01 >narrow
show <narrow
awk 'length > 40' narrow
bury $writer
exec 3>&-
verso channel stat kept --interval=0.01 | grep '^writer ' | show | sed 's/\(dead\|left\)$/GONE/; s/- -/PID -/'
verso channel stat kept --json --interval=0.01 >json; echo "exit $?"
verso channel stat kept --json --watch --interval=0.01 | head -n 3 >jsons
python3 - $writer <<'PYTHON'
import json, sys
answers = [json.load(open("json"))] + [json.loads(line) for line in open("jsons")]
for answer in answers:
    assert answer["schema"] == 1 and answer["action"] == "stat" and answer["name"] == "kept" and answer["is_lasting"]
    assert answer["sent"] == 100 and answer["waiting"] == 100 and answer["writers"] == 0 and answer["writer_room"] == 16
    assert answer["per_second"]["sent"] == 0 and answer["per_second"]["seconds"] >= 0.01
    place, = answer["places"]
    assert place["role"] == "writer" and place["pid"] in (int(sys.argv[1]), -1, 0) and not place["is_alive"]
    assert place["command"] in ("verso", "") and place["messages"] == 100 and not place["holds"]
print(len(answers), "agree")
PYTHON
# It ends when all others have left, and takes the name of what was not made to stay with it.
mkfifo later
verso channel send passing <later &
writer=$!
exec 3>later
echo one >&3
until [[ -e names/passing ]]; do sleep 0.01; done
verso channel receive passing >got 3>&- &
reader=$!
lines got 1
verso channel stat passing --json --watch --interval=0.01 >seen 3>&- &
watcher=$!
lines seen 1
exec 3>&-
ended $writer send
ended $reader receive
ended $watcher stat
ls names
verso channel stat nobody 2>told; echo "exit $?"
grep -c ENOENT told
