# A block device is a file with a size: what is counted, found and summed of it is what its file says, by every method.
[[ $(id -u) == 0 ]] || { echo "needs root, to set up a loop device" >&2; exit 77; }
seq 700000 | head -c 4194304 >file
device=$(losetup --read-only --find --show file 2>/dev/null) || { echo "no loop device can be had" >&2; exit 77; }
trap 'losetup --detach "$device"' EXIT
for method in auto mapped read; do
    for command in "count -lwcL" "find -c 777" "find -n 55555" "hash -H3" "hash -H1"; do
        # shellcheck disable=SC2086 # words on purpose
        verso $command --method=$method "$device" | sed "s|$device|file|; s|^ *||; s|  *| |g" >got
        # shellcheck disable=SC2086
        verso $command file | sed "s|^ *||; s|  *| |g" >wanted
        cmp wanted got || echo "differs: $command $method"
    done
done
verso stat --json "$device" | grep -c '"bytes":4194304'
