# Cases source this: what a tree is, in words, so that two can be compared.
# shellcheck shell=bash

# describe DIR: kind, permissions, owner, time, links, attributes and content of all in it, and of itself
describe() {
    python3 - "$1" <<'END'
import hashlib, os, stat, sys
groups = {}
def describe(path, name):
    status = os.lstat(path)
    mode = status.st_mode
    words = [repr(name), oct(mode), status.st_uid, status.st_gid, status.st_mtime_ns]
    if stat.S_ISLNK(mode):
        words.append(os.readlink(path))
    if stat.S_ISREG(mode):
        words.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
        words.append(status.st_nlink)
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        words.append(status.st_rdev)
    if not stat.S_ISDIR(mode):  # which names are one file: numbered as they are met
        words.append(groups.setdefault(status.st_ino, len(groups)))
    for attribute in sorted(os.listxattr(path, follow_symlinks=False)):
        words.append((attribute, os.getxattr(path, attribute, follow_symlinks=False)))
    print(*words)
    if stat.S_ISDIR(mode):
        for entry in sorted(os.listdir(path)):
            describe(os.path.join(path, entry), os.path.join(name, entry))
describe(os.fsencode(sys.argv[1]), b"")
END
}

# same A B: whether two trees are the same in all that describe tells
same() {
    local one two
    one=$(describe "$1") two=$(describe "$2")
    if [[ $one == "$two" ]]; then echo same; else diff <(echo "$one") <(echo "$two") | cut -c 1-200; fi
}

# field JSON-FILE EXPRESSION: of the answer, as Python sees it
field() { python3 -c "import json, sys; answer = json.load(open(sys.argv[1])); print($2)" "$1"; }

# without_hints: messages without what the library advises
without_hints() { sed -E 's/ at byte [0-9]+//; s/ \((E[A-Z]+|VERSO_E_[A-Z_]+)\).*/ (\1)/'; }

# leftovers [DIR]: files that a copy has forgotten to remove
leftovers() { find "${1:-.}" -name '.*verso*'; }
