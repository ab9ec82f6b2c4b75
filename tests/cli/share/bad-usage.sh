# One clear line each, and exit 2.
export VERSO_SHARE_DIRECTORY=$PWD/names
try() { verso share "$@"; echo "exit $?"; }
try
try lis
try remove
try gc one
try --members gc
try --json remove one
try list ""
