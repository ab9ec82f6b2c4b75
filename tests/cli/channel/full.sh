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
