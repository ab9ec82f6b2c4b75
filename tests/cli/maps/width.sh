# Everything fits where there is little room, and what is left out is named; without a limit, names are whole.
coproc cat
echo >&"${COPROC[1]}"
read -ru "${COPROC[0]}" # it answers, so all its libraries are mapped
pid=$COPROC_PID
trap 'kill "$pid"' EXIT
for width in 80 90 100 132; do
    verso maps "$pid" --width $width | python3 -c '
import sys
longest = max(len(line.rstrip("\n")) for line in sys.stdin)
print("fits" if longest <= int(sys.argv[1]) else longest)' $width
done
verso maps "$pid" --width 80 --no-ladder | grep -c '^Without room for: .*proportional.*(see --width)$'
verso maps "$pid" --width 0 --no-ladder | grep -c '^Without room'
whole=$(readlink /proc/"$pid"/exe)
verso maps "$pid" | grep -q " $whole\$" && echo whole
verso maps "$pid" --width 80 --no-ladder | grep -q '[^ ]*/cat$' && echo there
