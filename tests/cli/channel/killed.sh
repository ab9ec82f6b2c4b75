# kill -9 of either side is told to the other, which receives, or sends, what there is.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
mkfifo input
verso channel send talk <input &
writer=$!
exec 3>input
verso channel receive talk >got &
reader=$!
seq 3 >&3
lines got 3
bury $writer
ended $reader receive
cat got
exec 3>&-
# One of two writers: the other goes on.
verso channel receive talk --kind=mpsc >got &
reader=$!
verso channel send talk --kind=mpsc <input &
writer=$!
exec 3>input
echo dies >&3
lines got 1
mkfifo other
verso channel send talk --kind=mpsc <other &
second=$!
exec 4>other
echo lives >&4
lines got 2
bury $writer
echo "goes on" >&4
lines got 3
exec 3>&- 4>&-
ended $second send
ended $reader receive
cat got
# The reader: a writer that waits for room is told, and ends.
mkfifo output
verso channel receive talk >output &
reader=$!
exec 3<output
yes | verso channel send talk --capacity=4096 2>told &
writer=$!
read -r line <&3
echo "$line"
bury $reader
ended $writer send
sed 's/[0-9][0-9]* sent/N sent/' told
exec 3<&-
ls names
