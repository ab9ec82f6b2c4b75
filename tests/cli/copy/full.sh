# A full disk: told, nothing half-made stays, what was there stays; --resume goes on when there is room.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
if ((EUID != 0)); then
    echo "only root can mount a small file system" >&2
    exit 77
fi
if ! unshare --mount true; then
    echo "no mount namespace can be made here" >&2
    exit 77
fi
mkdir small tree
head -c 3000000 /dev/urandom >large
for i in {1..12}; do head -c 200000 /dev/urandom >"tree/$i"; done
export -f leftovers without_hints
# shellcheck disable=SC2016 # the inner shell is to expand it
unshare --mount bash -c '
mount -t tmpfs -o size=2m none small || exit 77
echo old >small/large
verso copy --quiet large small 2>&1 | without_hints; echo "exit ${PIPESTATUS[0]}"
cat small/large
leftovers small
verso copy --quiet -r --jobs=1 tree small/tree 2>/dev/null; echo "exit $?"
for file in small/tree/*; do cmp "$file" "${file#small/}"; done
leftovers small
rm -r small/*
verso copy --quiet --resume large small/large 2>&1 | without_hints; echo "exit ${PIPESTATUS[0]}"
[[ -e small/large ]] || echo "nothing by that name"
mount -o remount,size=8m small
verso copy --quiet --resume large small/large; echo "exit $?"
cmp large small/large && echo same
leftovers small'
