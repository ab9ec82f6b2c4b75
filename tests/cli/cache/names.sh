# Whatever a file is called, its row is one line, and JSON gives the name back.
touch -- $'new\nline' $'\xff\xfe' $'\e[2J' 'back\slash' -dash 'é' ' ' '"quote"'
verso cache . >text; echo "exit $?"
wc -l <text
grep -c $'\e' text
sed -n 's/^.*\]  *\([^ ].*\)$/<\1>/p' text
verso cache --json . >json
python3 - <<'END'
import codecs, json, os
rows = json.load(open("json"))["rows"]
def name(row):
    path = row["path"].encode()
    if row.get("path_escaped"):
        path = codecs.escape_decode(path)[0]
    return os.path.basename(path)
names = sorted(name(row) for row in rows if name(row) not in (b"text", b"json"))
print(names == sorted(entry for entry in os.listdir(b".") if entry not in (b"text", b"json")), len(names))
END
verso cache -- -dash | grep -c -- '-dash'
