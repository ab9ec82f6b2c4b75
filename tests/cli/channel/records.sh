# Messages that are no lines: with their lengths in front, or a NUL behind.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
verso channel create kept
python3 - records <<'PYTHON'
import random, struct, sys
random.seed(5)
with open(sys.argv[1], "wb") as file:
    for length in [0, 1, 7, 8, 9, 65536, 262128] + [random.randrange(3000) for _ in range(2000)]:
        file.write(struct.pack("<I", length) + random.randbytes(length))
PYTHON
verso channel receive kept --records >got &
verso channel send kept --records <records; echo "send exit $?"
ended $! receive
cmp records got && echo "the same"
printf 'a\nb\0\0c' | verso channel send kept --null
verso channel receive kept --null | od -An -c
printf '\2\0\0\0ab\3\0\0\0ab' | verso channel send kept -r; echo "exit $?"
printf '\1\0\0\0c\1\0' | verso channel send kept -r; echo "exit $?"
verso channel receive kept
