# Two shells talk: whoever comes first, lines come out as they went in, and nothing stays behind.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
printf 'one\n\nthree\nno end of a line' | verso channel send talk --quiet &
verso channel receive talk
ended $! send
seq 200000 >numbers
verso channel receive talk >got &
verso channel send talk --capacity=4096 <numbers; echo "send exit $?"
ended $! receive
cmp numbers got && echo "the same"
ls names
# A channel made by send is as it was told to be, and receive finds it so.
seq 3 | verso channel send talk --kind=mpsc --quiet &
until [[ -e names/talk ]]; do sleep 0.01; done
verso channel receive talk --kind=spsc 2>told; echo "exit $?"
grep -o 'another kind than was asked for' told
verso channel receive talk --kind=mpsc --count=2
wait $!
ls names
# Nothing at all is told, too, though the reader comes when the input has long ended; and one reader is enough.
verso channel send talk --quiet </dev/null &
until [[ -e names/talk ]] || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
verso channel receive talk --timeout=10; echo "receive exit $?"
ended $! send
mkfifo input
verso channel send talk <input &
exec 3>input
verso channel receive talk 3>&- &
reader=$!
until verso channel stat talk --interval=0 2>/dev/null | grep -q '^readers 1'; do sleep 0.01; done
verso channel receive talk 2>told; echo "exit $?"
grep -o 'all places are taken by the living' told
exec 3>&-
ended $reader receive
wait
ls names
