# One clear line each, exit 2, and never waiting for a FIFO's other end.
try() { verso watch --once "$@"; echo "exit $?"; }
try missing
mkdir folder
try folder
mkfifo pipe
try pipe
try /dev/null
try /proc/cpuinfo
ln -s loop loop
try loop
try missing$'\n'name
try a b
try --pid 0
try --interval 0 folder
try --for 0 folder
try --pid 4194305 2>&1 | sed 's/: .*//'
