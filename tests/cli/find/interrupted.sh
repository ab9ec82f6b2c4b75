# Ctrl-C while a pipe is waited for: what was found is printed, and said to be a part.
wait_until_read() { # what was written to 4
    until python3 -c '
import fcntl, struct, sys, termios
sys.exit(struct.unpack("i", fcntl.ioctl(4, termios.FIONREAD, bytes(4)))[0] != 0)'; do sleep 0.01; done
}
interrupt() { # the last command, after it has read ten lines
    seq 10 >&4
    wait_until_read
    kill -INT $!
    wait $!
    echo "exit $?"
}
mkfifo pipe
verso find -c 1 pipe >counted 2>&1 &
exec 4>pipe
interrupt
cat counted
