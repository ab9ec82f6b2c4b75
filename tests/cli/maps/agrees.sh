# Table and JSON say of a waiting process what /proc says, read here by other means; the ladder has its addresses.
coproc cat
echo >&"${COPROC[1]}"
read -ru "${COPROC[0]}" # it answers, so all its libraries are mapped
pid=$COPROC_PID
trap 'kill "$pid"' EXIT
verso maps "$pid" >text || echo "exit $?"
verso maps --json "$pid" >json || echo "exit $?"
python3 - "$pid" <<'END'
import json, re, sys
maps = [line.rstrip("\n").split(None, 5) for line in open(f"/proc/{sys.argv[1]}/maps")]
smaps = open(f"/proc/{sys.argv[1]}/smaps").read()
sizes = [int(value) for value in re.findall(r"^Rss: +(\d+) kB", smaps, re.M)]
answer = json.load(open("json"))
assert answer["schema"] == 1 and answer["command"] == "cat" and answer["source"] == "/proc/PID/smaps"
assert len(answer["mappings"]) == len(maps)
for mapping, line, kib in zip(answer["mappings"], maps, sizes):
    name = line[5] if len(line) > 5 else ""
    assert f"{int(mapping['start'], 16):x}-{int(mapping['end'], 16):x}" == re.sub("^0+", "", line[0]), line
    assert mapping["access"] == line[1] and mapping["offset_bytes"] == int(line[2], 16), line
    assert mapping["device"] == ":".join(str(int(part, 16)) for part in line[3].split(":")), line
    assert mapping["inode"] == int(line[4]) and mapping["name"] == name, line
    assert mapping["bytes"] == int(mapping["end"], 16) - int(mapping["start"], 16)
    assert mapping["memory"]["resident_bytes"] == kib * 1024 and mapping["memory_error"] == 0, line
assert answer["mapped_bytes"] == sum(mapping["bytes"] for mapping in answer["mappings"])
for number, total in answer["total"].items():
    if number != "page_bytes":
        assert total == sum(mapping["memory"][number] for mapping in answer["mappings"]), number
text = open("text").read()
for line in maps:
    wanted = re.escape(line[0].lstrip("0")) + r" .* " + line[1] + " .* "
    assert re.search("^" + wanted + re.escape(line[5] if len(line) > 5 else "[anonymous]") + "$", text, re.M), line
assert re.search(rf"^total .* {len(maps)} mappings$", text, re.M)
ladder = [int(word, 16) for word in re.findall(r"^ *([0-9a-f]+) ├", text, re.M)]
assert ladder == sorted(ladder, reverse=True), ladder
assert ladder[0] == int(maps[-1][0].split("-")[1], 16) and ladder[-1] == int(maps[0][0].split("-")[0], 16)
print("agree")
END
