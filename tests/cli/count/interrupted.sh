# Ctrl-C while a pipe is waited for: what came is counted and marked, also when many threads are at work.
wait_until_read() { # what was written to 4
    until python3 -c '
import fcntl, struct, sys, termios
sys.exit(struct.unpack("i", fcntl.ioctl(4, termios.FIONREAD, bytes(4)))[0] != 0)'; do sleep 0.01; done
}
interrupt() { # the last command, after it has read five lines
    seq 5 >&4
    wait_until_read
    kill -INT $!
    wait $!
    echo "exit $?"
}
mkfifo pipe
verso count pipe >counted 2>&1 &
exec 4>pipe
interrupt
cat counted

mkdir tree
for i in {1..100}; do seq 3 >"tree/$i"; done
verso count --threads=4 tree/{1..50} - tree/{51..100} <pipe >counted 2>&1 &
exec 4>pipe
interrupt
grep -e - -e interrupted counted
