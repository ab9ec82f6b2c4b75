# What no ring of this size can hold is left out and said; all others are sent.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
page=$(getconf PAGESIZE)
[[ $page == 4096 ]] || { echo "sizes here are of pages of 4096 bytes" >&2; exit 77; }
verso channel create kept --capacity=4K
line() { printf "%0$1d\n" 0; }
{ line 4080; echo next; line 4081; line 300000; line 600000; echo last; line 4081; } >long
verso channel receive kept >got &
verso channel send kept <long; echo "exit $?"
wait $!
awk '{ print length }' got
python3 -c '
import struct, sys
for length in 3, 4081, 1000000, 5:
    sys.stdout.buffer.write(struct.pack("<I", length) + b"x" * length)' | verso channel send kept --records
echo "exit $?"
verso channel receive kept
printf '\2\0\0\0ab\377\377\377\377rest' | verso channel send kept --records; echo "exit $?"
verso channel receive kept
