# What cases of share have in common: names of the case's own, and a program that has a region attached.
# shellcheck shell=bash
export VERSO_SHARE_DIRECTORY=$PWD/names

# hold NAME [FLAGS]: makes a region and stays in it; its number is in $holder
hold() {
    rm -f ready
    mkfifo ready
    "$HELPERS/hold" "$@" >ready &
    holder=$!
    read -r <ready
}

# Kills it as nothing can be caught, and waits until it is gone; without the shell's word about it.
bury() { { kill -9 "$holder" && wait "$holder"; } 2>/dev/null; }
