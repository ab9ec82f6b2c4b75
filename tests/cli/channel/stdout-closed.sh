# Who reads the output goes, or it is full: the receiver ends, also while there is nothing to write.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
mkfifo input
verso channel send talk <input &
writer=$!
exec 3>input
seq 3 >&3
verso channel receive talk | head -n 2
echo "receive exit ${PIPESTATUS[0]}"
exec 3>&-
ended $writer send
verso channel create kept
seq 3 | verso channel send kept
verso channel receive kept >/dev/full; echo "exit $?"
seq 3 | verso channel send kept
verso channel receive kept >&-; echo "exit $?"
seq 3 | verso channel send kept
verso channel receive kept --json >/dev/full; echo "exit $?"
verso channel send kept <&-; echo "exit $?"
