# Sizes come largest first, names by their letters, addresses lowest first.
coproc cat
echo >&"${COPROC[1]}"
read -ru "${COPROC[0]}" # it answers, so all its libraries are mapped
pid=$COPROC_PID
trap 'kill "$pid"' EXIT
python3 - "$pid" <<'END'
import json, subprocess, sys
def ask(*options):
    command = ["verso", "maps", sys.argv[1], *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
rows = {f"{row['start'][2:]}-{row['end'][2:]}": row for row in json.loads(ask("--json"))["mappings"]}
keys = {
    "address": lambda row: int(row["start"], 16),
    "size": lambda row: -row["bytes"],
    "resident": lambda row: -row["memory"]["resident_bytes"],
    "dirty": lambda row: -row["memory"]["private_dirty_bytes"] - row["memory"]["shared_dirty_bytes"],
    "kind": lambda row: row["kind"],
    "name": lambda row: row["name"].encode(),
}
for order, key in keys.items():
    shown = [line.split()[0] for line in ask("--no-ladder", "--sort", order).splitlines() if line]
    found = [key(rows[address]) for address in shown if address in rows]
    print(order, len(found) == len(rows) and found == sorted(found))
END
