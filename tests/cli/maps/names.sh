# A name with a newline, a byte that is not UTF-8 and a backslash breaks no line; deleted files say so.
python3 - <<'END'
import json, mmap, os, subprocess
name = b"new\nline \xff b\\s"
with open(name, "wb+") as file:
    file.write(b"x" * mmap.PAGESIZE * 3)
    file.flush()
    view = mmap.mmap(file.fileno(), 0)
os.unlink(name)
def ask(*options):
    return subprocess.run(["verso", "maps", str(os.getpid()), *options], check=True, capture_output=True).stdout
print([line.split(b"/")[-1].decode() for line in ask("--no-ladder").splitlines() if b"line" in line][0])
print([line.split()[3].decode() for line in ask("--no-table").splitlines() if b"line" in line][0])
found = [row for row in json.loads(ask("--json"))["mappings"] if "line" in row["name"]][0]
print(found["name"].split("/")[-1], found["name_escaped"], found["bytes"] // mmap.PAGESIZE)
END
