# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
make_file cached 20
make_file gone 20
: >empty
verso cache --evict --sync gone >evicted || echo "exit $?"
in_pages() { sed "s/$((20 * page / 1024)).0 KiB/20 pages/g; s/$((40 * page / 1024)).0 KiB/40 pages/g"; }
tail -n 1 evicted | in_pages
verso cache cached empty gone | tr -s ' ' | in_pages
