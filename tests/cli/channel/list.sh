# What channels there are, for people and programs; looking changes nothing.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
[[ $(getconf PAGESIZE) == 4096 ]] || { echo "sizes here are of pages of 4096 bytes" >&2; exit 77; }
verso channel list
verso channel create "with a space" --kind=mpsc --writers=3 --capacity=4096
verso channel create kept --capacity=1M
printf 'one\ntwo\nthree\n' | verso channel send kept
verso channel list
verso channel list --json >json; echo "exit $?"
python3 - <<'PYTHON'
import json
answer = json.load(open("json"))
assert answer["schema"] == 1 and answer["action"] == "list"
kept, other = answer["channels"]
assert kept["name"] == "kept" and other["name"] == "with a space" and other["writer_room"] == 3
assert kept["kind"] == "spsc" and kept["full"] == "wait" and not kept["is_lasting"]
assert kept["sent"] == 3 and kept["sent_bytes"] == 11 and kept["waiting"] == 3 and kept["received"] == 0
assert kept["capacity_bytes"] == 1 << 20 and kept["message_bytes_most"] == (1 << 20) - 16 and kept["used_bytes"] == 48
assert kept["writers"] == kept["readers"] == 0
print("agree")
PYTHON
# Who is in one; a region that is no channel is not shown; a damaged channel is.
mkfifo input
verso channel send kept <input &
writer=$!
exec 3>input
echo four >&3
until verso channel list | grep -q ' 1/1 .* kept'; do sleep 0.01; done
echo rubbish >names/rubbish
cp names/kept names/damaged
offset=$(python3 -c 'print(open("names/damaged", "rb").read().index(bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0])))')
printf '\7' | dd of=names/damaged bs=1 seek="$offset" conv=notrunc status=none
verso channel list; echo "exit $?"
exec 3>&-
ended $writer send
ls names
