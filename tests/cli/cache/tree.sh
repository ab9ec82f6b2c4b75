# Hard links once, links not followed, special files passed by, loops gone through once.
mkdir -p a/b elsewhere
echo 1 >a/one
echo 2 >a/b/two
echo 3 >elsewhere/three
ln a/one a/b/one-again
ln -s ../elsewhere a/link
ln -s ../one a/b/link
ln -s .. a/b/loop
ln -s nowhere a/dangling
mkfifo a/fifo
names() { sed -n 's/^.*\]  *\([^ ].*\)$/\1/p' | LC_ALL=C sort | paste -s -d ' '; }
count() {
    python3 -c 'import json, sys; answer = json.load(sys.stdin); print(answer["total"]["files"], answer["left_out"])'
}
verso cache --threads=1 --json a | count
verso cache a | sed 's/b.one-again/one/' | names
verso cache --count-links a | names
verso cache --follow --json a | count
verso cache --json a/link a/b/link | count
verso cache --json a a a/b | count
verso cache a/fifo; echo "exit $?"
verso cache nowhere; echo "exit $?"
verso cache a/dangling; echo "exit $?"
ln -s round round
verso cache round; echo "exit $?"
