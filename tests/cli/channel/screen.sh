# stat --watch in a terminal: all of its rows are used, and "..." stands in the last one for what has no room.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
verso channel create talk --lasting
mkfifo input
verso channel send talk <input &
sender=$!
exec 3>input
verso channel receive talk >got 3>&- &
receiver=$!
echo one >&3
lines got 1
cat >pictures.py <<'PYTHON'
import fcntl, os, pty, re, signal, struct, sys, termios
for rows in 13, 12, 11:
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        os.environ.pop("COLUMNS", None)
        os.environ["TERM"] = "xterm"
        os.execvp("verso", ["verso", "channel", "stat", "talk", "--watch", "--interval=0.01"])
    said = b""
    while said.count(b"\033[H") < 2:
        said += os.read(terminal, 4096)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    picture = said.decode().split("\033[H")[1]
    lines = re.sub("\033\\[[KJ]", "", picture).split("\r\n")
    print(rows, len(lines), [re.match("[a-z]* [01]|[.]*", line)[0] for line in lines[10:]])
PYTHON
python3 pictures.py
exec 3>&-
ended $sender send
bury $receiver || :
