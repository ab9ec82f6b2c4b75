# One of each kind of memory that libverso makes is called what it is: in JSON, in the table, in the ladder.
[[ $HELPERS ]] || { echo "needs the program that makes them: run VERSO FOLDER HELPERS" >&2; exit 77; }
coproc "$HELPERS/maps-kinds"
pid=$COPROC_PID
trap 'kill "$pid"' EXIT
while read -ru "${COPROC[0]}" line && [[ $line ]]; do
    echo "$line"
done >made
verso maps "$pid" --json >json || echo "exit $?"
verso maps "$pid" >text || echo "exit $?"
for width in 80 120; do
    verso maps "$pid" --width $width >text.$width || echo "exit $?"
done
verso maps "$pid" --no-memory --json >fast || echo "exit $?"
NO_COLOR=1 verso maps "$pid" --color auto >plain
verso maps "$pid" --color always >colored
cat >look.py <<'END'
import json, re
answer, fast = json.load(open("json")), json.load(open("fast"))
text = open("text").read()
made = [line.split() for line in open("made").read().splitlines()]
rows = answer["mappings"]
def at(address, rows):
    return next(row for row in rows if int(row["start"], 16) <= address < int(row["end"], 16))
lacking = [words[1] for words in made if words[0] == "without"]
made = [words for words in made if words[0] != "without"]
assert {"memory", "reserved", "mirrored", "clone", "shared"} <= {words[0] for words in made}, lacking
guards_known = answer["guards"]["error"] == 0
for kind, traits, pages, places, address in made:
    row = at(int(address, 16), rows)
    assert row["kind"] == kind, (row, kind)
    told = set(row["traits"]) - {"thp", "no-core"} # the machine's settings, and ASan's, may add these
    assert told == {word for word in traits.split(",") if word not in ("-", "no-core")}, (row, traits)
    assert ("no-core" in row["traits"]) >= ("no-core" in traits), (row, traits)
    if guards_known:
        assert (row["guard_pages"], row["guard_places"]) == (int(pages), int(places)), row
    else:
        assert row["guard_pages"] is None and row["guard_places"] is None
    line = re.search(rf"^{row['start'][2:]}-{row['end'][2:]} .*$", text, re.M).group().split()
    assert line[3] == kind, (line, kind)
    # without the kernel's flags the word is wider, never wrong
    wider = {"droppable": "memory", "reserved": "no-access"}.get(kind, kind)
    assert at(int(address, 16), fast["mappings"])["kind"] == wider, (kind, wider)
    assert at(int(address, 16), fast["mappings"])["traits"] is None
clone = next(row for row in rows if row["kind"] == "clone")
assert clone["memory"]["anonymous_bytes"] == 2 * clone["memory"]["page_bytes"]
# totals are what the rows say
both = [row for row in rows if "w" in row["access"] and "x" in row["access"]]
assert answer["writable_executable"] == {"mappings": len(both), "bytes": sum(row["bytes"] for row in both)}
assert [row for row in rows if row["writable_executable"]] == both
assert fast["guards"]["pages"] is None and fast["guards"]["error"] < 0
if guards_known:
    guarded = [row for row in rows if row["guard_pages"]]
    assert answer["guards"]["pages"] == sum(row["guard_pages"] for row in rows)
    assert answer["guards"]["mappings"] == len(guarded)
    assert answer["guards"]["places"] <= sum(row["guard_places"] for row in rows)
# for people
if both:
    assert re.search(r"^writable and executable: \d+ mappings?, .*!$", text, re.M)
    assert len(re.findall(r"^[0-9a-f]+-[0-9a-f]+ +\S+  rwx[ps]! code ", text, re.M)) == len(both)
    assert ", writable and executable!" in text
else:
    assert "\nwritable and executable: none\n" in text
if guards_known and answer["guards"]["pages"]:
    assert re.search(r"^guards inside mappings: \d+ pages in \d+ places, in \d+ mappings?$", text, re.M)
    assert "3 guards in 2 places" in text
assert "mirrored" in text.split("\naddress")[0] and "8K its own" in text or clone["memory"]["page_bytes"] != 4096
for width in 80, 120:
    lines = open(f"text.{width}").read().splitlines()
    assert max(map(len, lines)) <= width, [line for line in lines if len(line) > width]
    assert any(line.split()[:4][-1:] == ["kind"] for line in lines), width
assert "\033" not in open("plain").read()
assert ("\033[38;5;202mrwxp!" in open("colored").read()) == bool(both)
print("agree")
END
python3 look.py
