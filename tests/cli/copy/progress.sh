# On a terminal, work over a second shows a line: how much of how much, how fast, how long still; never wider than the
# terminal, and gone at the end. Ctrl-C there ends the work, and leaves nothing.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
cat >on-a-terminal.py <<'END'
"""Runs a copy on a terminal of its own, from a FIFO that stays open until the line was shown as often as wanted."""
import fcntl, os, pty, re, struct, sys, termios

columns, last, *command = int(sys.argv[1]), sys.argv[2], *sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.environ.pop("COLUMNS", None)
    os.execvp(command[0], command)
endless = os.open("endless", os.O_WRONLY)
os.write(endless, bytes(65536))
shown, told = b"", None
while told is None:
    try:
        piece = os.read(terminal, 4096)
    except OSError:  # the other side is closed
        piece = b""
    if not piece:
        break
    shown += piece
    lines = re.findall(rb"\r\x1b\[K([^\r\n\x1b]+)", shown)
    if len(lines) >= 2 and endless >= 0:  # the first could be in the middle of its way to us
        told, shown = lines[0].decode(), b""
if last == "interrupt":
    os.write(terminal, b"\x03")
elif endless >= 0:
    os.close(endless)
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        piece = b""
    if not piece:
        break
    shown += piece
print(re.sub(r"[0-9.]+ ([KMG]?i?B)", r"N \1", told or "no line").replace("%", "percent"))
print("fits" if told and len(told) < columns else "too wide")
after = shown.decode().split("\r\x1b[K")[-1]  # what stands there in the end
print(re.sub(r"[0-9.]+ m?s", "TIME", after.replace("\r\n", "\n").replace("^C", "")).strip().split("; copied")[0])
print("exit", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
END
mkdir into
mkfifo endless
head -c 1000000 /dev/urandom >file
numbers() {
    sed -E 's/\([0-9]+ percent\)/(N percent)/; s/[0-9]+:[0-9]{2} left/N:NN left/' |
        sed -E 's/[0-9.]+ [KMG]?i?B\/s/N B\/s/; s/N [KMG]?i?B/N B/g'
}
python3 on-a-terminal.py 100 end verso copy --jobs=1 endless file into | numbers
cmp file into/file && stat -c %s into/endless
python3 on-a-terminal.py 30 end verso copy --jobs=1 endless file into | numbers
python3 on-a-terminal.py 100 interrupt verso copy endless new | numbers
leftovers
ls
