# Every reader gets every message; a late one begins where it says, a slow one is told what it lost.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
verso channel create both --kind=broadcast
verso channel receive both >first &
readers=$!
verso channel receive both >second &
readers="$readers $!"
until verso channel list | grep -q ' 2/16 .* both'; do sleep 0.01; done
seq 100000 | verso channel send both; echo "send exit $?"
# shellcheck disable=SC2086 # several
wait $readers; echo "receive exit $?"
seq 100000 | cmp - first && cmp first second && echo "both have all"
verso channel create news --kind=broadcast --full=drop-oldest --capacity=4096 --lasting
seq 5 | verso channel send news
verso channel receive news --from=oldest --count=2
verso channel receive news --from=last=2 --count=2 --json
verso channel receive news --timeout=0; echo "exit $?"
# Whoever does not keep up: nothing comes twice, out of order or torn, and what is missing is said.
mkfifo slow
verso channel receive news >slow 2>told &
reader=$!
exec 3<slow
until verso channel list | grep -q ' 1/16 .* news'; do sleep 0.01; done
seq 200000 | verso channel send news
cat <&3 >got &
until verso channel stat news --json --interval=0.01 | grep -q '"lag_bytes": 0' &&
    verso channel stat news --json --interval=0.01 | grep -q '"is_asleep": true'; do sleep 0.01; done
kill -INT $reader
ended $reader receive
wait $!
sort -n -u -c got && echo "in order"
[[ $(tail -n 1 got) == 200000 ]] && echo "the last one has come"
lost=$(($(sed -n 's/.*: \([0-9]*\) lost: .*/\1/p' told | paste -s -d+)))
((lost + $(wc -l <got) == 200000 && lost > 0)) && echo "what is missing is said"
