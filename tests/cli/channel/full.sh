# What is done when the ring is full, as the channel was made.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
for full in wait refuse drop-newest; do
    verso channel create $full --full=$full --capacity=4096
    seq 1000 | verso channel send $full --timeout=0.05 2>told; echo "$full: exit $?"
    sed 's/[0-9][0-9]* \(sent\|refused\|dropped\)/N \1/' told
    verso channel receive $full --timeout=0 >got; echo "exit $?"
    seq "$(wc -l <got)" | cmp - got
done
# What came first gives way: all that is told and all that is received is what was sent.
verso channel create oldest --full=drop-oldest --capacity=4096
seq 10 | verso channel send oldest; echo "room: exit $?"
seq 11 1000 | verso channel send oldest 2>told; echo "drop-oldest: exit $?"
sed 's/[0-9][0-9]* of/N of/' told
verso channel receive oldest --timeout=0 >got; echo "exit $?"
seq $((1001 - $(wc -l <got))) 1000 | cmp - got
echo $(($(sed 's/[^0-9]//g' told) + $(wc -l <got)))
verso channel create every --kind=broadcast --full=drop-oldest --capacity=4096
seq 1000 | verso channel send every; echo "broadcast: exit $?"
