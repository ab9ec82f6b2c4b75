# Killed at any moment, the same command goes on, and the copy is the same; nobody meets half a file meanwhile.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
mkdir tree
head -c 40000000 /dev/urandom >tree/large
for i in {1..50}; do head -c 20000 /dev/urandom >"tree/$i"; done
rounds=0 whole=0
for delay in 0.002 0.005 0.01 0.015 0.02 0.03 0.04 0.06; do
    verso copy --quiet --archive --resume --reflink=never -T tree copy &
    copier=$!
    sleep $delay
    kill -KILL $copier
    wait $copier 2>/dev/null
    ((++rounds))
    bad=0
    for file in copy/*; do
        [[ -f $file ]] || continue
        cmp -s "$file" "tree/${file#copy/}" || bad=1
    done
    ((bad)) || ((++whole))
done 2>/dev/null
echo "$rounds rounds, $whole times all that had its name was whole"
verso copy --quiet --archive --resume -T tree copy; echo "exit $?"
leftovers copy
diff -r tree copy >/dev/null && echo same
