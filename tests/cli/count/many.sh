# Thousands of files, by any number of threads and any method: the same numbers, in the order of the names.
mkdir tree
for i in {1..600}; do seq "$i" >"tree/$i"; done
seq 3000000 | head -c 9437184 >tree/300large
mkfifo tree/fifo
ln -s 1 tree/link
find tree -type f | LC_ALL=C sort >sorted
mapfile -t files <sorted
LC_ALL=C wc -lw "${files[@]}" >wanted
for options in "" --threads=1 --threads=7 --method=read --method=mapped --cache=neutral --cache=drop; do
    # shellcheck disable=SC2086 # none or one on purpose
    verso count -lw $options -r tree >got || echo "exit $?"
    cmp wanted got || echo "differs: $options"
    # shellcheck disable=SC2086
    tr '\n' '\0' <sorted | verso count -lw $options --files0-from=- >got
    cmp wanted got || echo "list differs: $options"
done
printf '%s\0' 2 1 3 | (cd tree && verso count --files0-from=-)
verso count tree/2 tree/1 tree/2
