# Everything fits where there is little room, and what is left out is named; without a limit, names are whole.
sleep 1000 &
trap 'kill %1' EXIT
while [[ $(readlink /proc/$!/exe) == *bash* ]]; do read -rt 0.01 <> <(:); done
for width in 80 90 100 132; do
    verso maps $! --width $width | python3 -c '
import sys
longest = max(len(line.rstrip("\n")) for line in sys.stdin)
print("fits" if longest <= int(sys.argv[1]) else longest)' $width
done
verso maps $! --width 80 --no-ladder | grep -c '^Without room for: .*proportional.*(see --width)$'
verso maps $! --width 0 --no-ladder | grep -c '^Without room'
whole=$(readlink /proc/$!/exe)
verso maps $! | grep -q " $whole\$" && echo whole
verso maps $! --width 80 --no-ladder | grep -q '[^ ]*/sleep$' && echo there
