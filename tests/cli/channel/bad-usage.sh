# One clear line each, and exit 2.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
try() { verso channel "$@" </dev/null; echo "exit $?"; }
try
try creat
try create
try create one two
try create ""
try send one --count=3
try create one --attach
try receive one --null --records
try receive one --json --null
try --json send one
try remove
try create one --capacity=0
try create one --capacity=5G
try create one --mode=rw
try create one --mode=1777
try create one --writers=2
try create one --kind=mpsc --readers=2
try create one --kind=mpsc --writers=64
try create one --redeliver
try receive one --from=first
try receive one --from=last=
try receive one --from=oldest
try receive one --timeout=soon
try bench one two
try bench --seconds=0
try bench --size=1M
try bench --lasting
try send one --size=3
try list one
try stat
try stat one --count=1
try list --watch
VERSO_SHARE_DIRECTORY=$PWD/no/such try create one
VERSO_SHARE_DIRECTORY=$PWD/none try stat one
ls -A
