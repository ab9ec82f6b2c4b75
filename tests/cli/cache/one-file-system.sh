if ((EUID != 0)); then
    echo "only root can mount" >&2
    exit 77
fi
if ! unshare --mount true; then
    echo "no mount namespace can be made here" >&2
    exit 77
fi
mkdir -p tree/mounted
echo 1 >tree/here
unshare --mount bash -c '
mount -t tmpfs none tree/mounted || exit 77
echo 2 >tree/mounted/there
count() { python3 -c "import json, sys; print(json.load(sys.stdin)[\"total\"][\"files\"])"; }
verso cache --json tree | count
verso cache --json --one-file-system tree | count
verso cache --json --one-file-system tree/mounted | count
verso cache --evict tree/mounted | tail -n 1 | sed "s|^ *[0-9.]* KiB|a page|"'
