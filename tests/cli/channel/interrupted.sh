# Ctrl-C on either side, whatever it waits for: it leaves, and nothing stays.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
interrupt() { while kill -INT "$1" 2>/dev/null; do sleep 0.05; done; }
mkfifo input
verso channel send talk <input &
writer=$!
exec 3>input
verso channel receive talk >got &
reader=$!
seq 3 >&3
lines got 3
interrupt $writer
ended $writer send
ended $reader receive
cat got
exec 3>&-
verso channel receive talk &
reader=$!
until [[ -e names/talk ]]; do sleep 0.01; done
interrupt $reader
ended $reader receive
# A ring that stays full.
verso channel create full --capacity=4096 --lasting
yes | verso channel send full 2>told &
writer=$!
verso channel receive full --count=1
interrupt $writer
ended $writer send
verso channel remove full
sed 's/[0-9][0-9]* sent/N sent/' told
# The end of the input, and nobody comes.
echo unheard | verso channel send talk 2>unheard &
writer=$!
lines unheard 1
interrupt $writer
ended $writer send
cat unheard
verso channel send talk 2>nothing </dev/null &
writer=$!
lines nothing 1
interrupt $writer
ended $writer send
cat nothing
ls names
