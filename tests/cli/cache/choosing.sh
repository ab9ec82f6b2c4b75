# Which files are looked at.
mkdir -p tree/.git tree/deep
for file in tree/a.c tree/b.h tree/deep/c.c tree/.git/d.c; do echo "$file" >"$file"; done
head -c 100000 /dev/zero >tree/large.c
names() { sed -n 's/^.*\]  *\(tree[^ ]*\)$/\1/p' | paste -s -d ' '; }
verso cache --ignore=.git tree | names
verso cache --only='*.h' --only='d.*' tree | names
verso cache -i '*.c' tree | names
verso cache -i '*/deep/*' -m 50K tree | names
verso cache --only='*.h' tree/a.c tree/b.h | names
verso cache --ignore=tree tree
