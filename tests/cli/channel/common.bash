# What cases of channel have in common: names of the case's own.
# shellcheck shell=bash
export VERSO_SHARE_DIRECTORY=$PWD/names

# Until a process has so many lines in a file: lines FILE COUNT
lines() { until [[ -e $1 && $(wc -l <"$1") -ge $2 ]]; do sleep 0.01; done; }

# Kills it as nothing can be caught, and waits until it is gone; without the shell's word about it.
bury() { { kill -9 "$1" && wait "$1"; } 2>/dev/null; }

# Exit codes of the last background process.
ended() { wait "$1"; echo "$2 exit $?"; }
