# The counts are the kernel's, for a file and for all; looking changes nothing.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/cache/common.bash"
need_disk
mkdir tree
make_file tree/a 8
make_file tree/b 24
: >tree/empty
verso cache --json tree >all; echo "exit $?"
field all '[(row["path"], row["pages"], row["cached"]) for row in answer["rows"]]'
field all '(answer["total"]["files"], answer["total"]["pages"], answer["total"]["cached"], answer["total"]["dirty"])'
verso cache --evict --sync --quiet tree/b >evicted; echo "exit $?"
verso cache --json tree >all
field all '[(row["path"], row["cached"]) for row in answer["rows"]]'
verso cache --summary --json tree tree/a >sums
field sums '[(row["path"], row["files"], row["cached"]) for row in answer["rows"]], answer["total"]["cached"]'
