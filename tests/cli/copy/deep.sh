# Deeper than a path may be long, and than there are descriptors.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
python3 - <<'END'
import os
os.mkdir("tree")
os.chdir("tree")
for i in range(500):
    open("file", "w").write(str(i))
    os.utime("file", (i, i))
    os.mkdir("d" * 20)
    os.chdir("d" * 20)
open("deep", "w").write("deep")
os.link("deep", "again")
fd = os.open("..", os.O_RDONLY)
for i in reversed(range(500)):
    os.utime(".", (i, i), dir_fd=None)
    os.chdir("..")
END
for limit in 30 64 1000; do
    (ulimit -n $limit && verso copy --quiet -a tree "copy-$limit"); echo "exit $?"
done
(ulimit -n 64 && verso copy --quiet -a -j 1 tree copy-1); echo "exit $?"
python3 - <<'END'
import os
def levels(name):
    found, fd = [], os.open(name, os.O_RDONLY)
    while True:
        names = sorted(os.listdir(fd))
        for entry in names:
            status = os.stat(entry, dir_fd=fd)
            found.append((entry, status.st_mtime_ns, status.st_mode, status.st_size, 0 if entry[0] == "d" * 20 else status.st_nlink))
        if "d" * 20 not in names:
            return found
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
tree = levels("tree")
print(len(tree), [levels(name) == tree for name in ("copy-30", "copy-64", "copy-1000", "copy-1")])
END
