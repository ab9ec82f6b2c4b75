# A channel that is created stays, with what is in it, until it is removed.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
verso channel create jobs --mode=0640; echo "exit $?"
stat -c '%a %n' names/jobs
verso channel create jobs 2>told; echo "exit $?"
grep -c EEXIST told
seq 4 | verso channel send jobs; echo "exit $?"
verso channel receive jobs --count=3; echo "exit $?"
verso channel receive jobs; echo "exit $?"
verso channel receive jobs --timeout=0; echo "exit $?"
# Who comes when all have left waits for a writer, and leaves after it.
verso channel receive jobs >got &
seq 2 | verso channel send jobs
ended $! receive
cat got
# Also when that one has nothing to say, and is gone before anybody looks.
verso channel receive jobs --timeout=100 &
reader=$!
until verso channel list | grep -q ' 1/1 *jobs'; do sleep 0.01; done
verso channel send jobs </dev/null; echo "exit $?"
ended $reader receive
verso channel remove jobs; echo "exit $?"
verso channel remove jobs 2>told; echo "exit $?"
grep -c ENOENT told
verso channel send jobs --attach </dev/null 2>told; echo "exit $?"
grep -c ENOENT told
verso channel receive jobs --attach 2>told; echo "exit $?"
echo precious >file
verso channel remove ./file 2>told; echo "exit $?"
cat file
ls names
