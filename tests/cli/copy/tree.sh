# --archive keeps all there is to keep, whoever is asked and however many files at once.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
mkdir -p tree/{empty,closed,set,shared} tree/a/b/c
for i in {1..200}; do echo "$i" >"tree/a/b/$i"; done
: >tree/nothing
head -c 300000 /dev/urandom >tree/a/large
printf '#!/bin/sh\n' >tree/a/program
chmod 755 tree/a/program
chmod 4711 tree/a/b/1
chmod 000 tree/a/b/2
chmod 2775 tree/set
chmod 1777 tree/shared
echo 1 >tree/closed/file
ln -s ../nothing tree/a/link
ln -s nowhere tree/dangling
ln -s /etc tree/absolute
mkfifo tree/fifo
python3 - <<'END'
import os, struct
try:
    os.setxattr("tree/a/large", "user.note", b"kept")
    os.setxattr("tree/a", "user.binary", bytes(range(256)))
    # rw for the owner, r for user 1, none for others
    entries = [(1, 6, 0xffffffff), (2, 4, 1), (4, 4, 0xffffffff), (16, 4, 0xffffffff), (32, 0, 0xffffffff)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr("tree/a/program", "system.posix_acl_access", acl)
    os.setxattr("tree/set", "system.posix_acl_default", acl)
except OSError:
    pass  # a file system without them
for name in ("tree/a/b", "tree/closed", "tree/empty", "tree/a/link", "tree/a/large", "tree"):
    os.utime(name, ns=(10**18 + 123456789, 9 * 10**17 + 987654321), follow_symlinks=False)
END
if ((EUID == 0)); then
    mknod tree/null c 1 3
    chown 1:2 tree/a/b/3 tree/set
    chown -h 1:2 tree/dangling
else
    chmod 400 tree/a/b/2 # an ordinary user must be able to read it
fi
chmod 555 tree/closed
verso copy --quiet --archive tree copy; echo "exit $?"
same tree copy
verso copy --quiet -a -j 1 tree one; echo "exit $?"
same tree one
verso copy --quiet -a -j 8 tree eight; echo "exit $?"
same tree eight
chmod u+w eight/closed # what is replaced gets a new name in its directory
verso copy --quiet -aT tree eight; echo "again: exit $?"
same tree eight
verso copy --quiet -r tree plain; echo "exit $?"
diff -r --no-dereference tree/a plain/a && echo "content is the same"
leftovers
