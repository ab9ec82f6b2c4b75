# The picture, of a process whose memory is known: 64 MiB of which a quarter is written, and below it room left free.
cat >process.py <<'END'
import mmap, sys
room = 64 << 20
span = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, room // 4, mmap.PAGESIZE):
    span[at] = 1
print(flush=True)
sys.stdin.read()
END
coproc python3 process.py
read -ru "${COPROC[0]}"
verso maps "$COPROC_PID" --no-table --rungs 0 >utf8
LC_ALL=C verso maps "$COPROC_PID" --no-table --rungs 0 >ascii
verso maps "$COPROC_PID" --no-table --rungs 3 >joined
verso maps "$COPROC_PID" --no-table --no-memory >fast
verso maps "$COPROC_PID" --no-table --color always >colored
NO_COLOR=1 verso maps "$COPROC_PID" --no-table >plain
# 3 rows of 24 letters: a quarter and a bit of 72 is 18
grep -A 2 -E '│ D{18,}\.* │ .*(64M|65M)' utf8 | grep -oE '│ .* │' | tr -d '│ \n' | tr -s 'D' | tr -s '.'; echo
grep -c '[^ -~]' ascii
grep -c '^ *[0-9a-f]* [├+]' ascii | awk '{ print ($1 > 4) ? "many edges" : "few" }'
grep -c ' of gaps' joined | awk '{ print ($1 > 0) ? "gaps are told" : "gaps are hidden" }'
grep -oE '[│|] [A-Z.?]+ [│|]' fast | tr -d '│| \n' | tr -s '?'; echo
grep -c $'\033' colored | awk '{ print ($1 > 0) ? "colours" : "none" }'
grep -c $'\033' plain
# and without them the same picture
diff <(sed 's/\x1b\[[0-9;]*m//g' colored | grep -oE '^ *[0-9a-f]+ .*' ) <(grep -oE '^ *[0-9a-f]+ .*' plain) && echo 'the same'
# three rungs part where the two largest gaps are
python3 - "$COPROC_PID" <<'END'
import re, sys
ends = [[int(end, 16) for end in line.split()[0].split("-")] for line in open(f"/proc/{sys.argv[1]}/maps")]
gaps = sorted(((after[0] - before[1], before[1], after[0]) for before, after in zip(ends, ends[1:])), reverse=True)[:2]
wanted = sorted([ends[0][0], ends[-1][1]] + [edge for gap in gaps for edge in gap[1:]], reverse=True)
shown = [int(word, 16) for word in re.findall("^ *([0-9a-f]+) ├", open("joined").read(), re.M)]
print("three rungs" if shown == wanted else f"{shown} instead of {wanted}")
END
kill "$COPROC_PID"
