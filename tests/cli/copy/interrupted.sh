# Ctrl-C in the middle: no half file, no temporary one; what was there is there; what was done is whole.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
mkdir tree
for i in {1..20}; do echo "$i" >"tree/$i"; done
mkfifo endless
echo old >copy
verso copy endless copy 2>told &
copier=$!
trap 'kill $copier 2>/dev/null' EXIT
exec 3>endless
head -c 300000 /dev/zero >&3 # more than a pipe holds: the copy is in the middle of it
while kill -INT $copier 2>/dev/null; do sleep 0.1; done # it waits for more, or is about to
wait $copier; echo "exit $?"
exec 3>&-
sed 's/ in .*//' told
cat copy
leftovers
# In a tree: everything by its own name is whole.
truncate -s 64M tree/sparse-{1..1000} # checksums of so many zeros take their time
verso copy --quiet -r --jobs=2 --hash tree out 2>told >sums &
copier=$!
until compgen -G 'out/*' >/dev/null || [[ ! -d /proc/$copier ]]; do :; done
kill -TERM $copier
wait $copier; echo "exit $?"
cat told
leftovers
[[ -e out/sparse-1000 && -e out/sparse-1 ]] && echo "nothing was interrupted"
for file in out/*; do cmp "$file" "tree/${file#out/}"; done
rm -r out
