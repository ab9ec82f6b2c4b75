# Readers that share a queue: each line to one of them; what one held that died goes to another.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
verso channel create jobs --kind=mpmc --redeliver
verso channel receive jobs >first &
readers=$!
verso channel receive jobs >second &
readers="$readers $!"
until verso channel list | grep -q ' 2/16 .* jobs'; do sleep 0.01; done
mkfifo open
verso channel send jobs <open & # so that there is one all the time
last=$!
exec 5>open
until verso channel list | grep -q ' 1/16 *2/16 .* jobs'; do sleep 0.01; done
for i in 1 2 3; do
    seq $i 3 30000 | verso channel send jobs --kind=mpmc 5>&- &
    writers="$writers $!"
done
# shellcheck disable=SC2086 # several
wait $writers; echo "send exit $?"
exec 5>&-
wait $last; echo "send exit $?"
# shellcheck disable=SC2086
wait $readers; echo "receive exit $?"
sort -n first second >got
seq 30000 | cmp - got && echo "each once"
# One reader holds what it can't write, and is killed: another gets it.
mkfifo stuck input
verso channel send more --kind=mpmc --redeliver --quiet <input &
writer=$!
exec 4>input
verso channel receive more --kind=mpmc --redeliver >stuck 4>&- &
reader=$!
exec 3<stuck
seq 40000 >&4 &
feeder=$!
until verso channel stat more --json --interval=0.01 2>told | grep -q '"holds": true'; do sleep 0.01; done
verso channel receive more >after 3<&- 4>&- &
second=$!
until verso channel list | grep -q ' 2/16 .* more'; do sleep 0.01; done
bury $reader
wait $feeder
exec 4>&-
ended $writer send
ended $second receive
cat <&3 >before
sort -n -u before after >got
grep -c . got
(($(cat before after | wc -l) <= 40000 + 512)) && echo "at most one batch twice"
