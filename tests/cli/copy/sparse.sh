# Every pattern of holes and data in eight pages, kept, dug and made dense: content and blocks as cp makes them.
page=$(getconf PAGESIZE)
python3 - "$page" <<'END'
import os, sys
page = int(sys.argv[1])
os.mkdir("from")
for pattern in range(256):
    for end in (0, 1):
        with open(f"from/{pattern}-{end}", "wb") as file:
            for at in range(8):
                if pattern >> at & 1:
                    file.seek(at * page)
                    file.write(b"x" * page if at % 3 else b"\0" * page)  # zeros that are data
            file.truncate(8 * page + end)
END
blocks() { (cd "$1" && stat -c '%n %b' -- * | sort); }
sync -f from # blocks are counted when they are there
for kind in "keep auto" "dig always" "dense never"; do
    read -r ours theirs <<<"$kind"
    verso copy --quiet -r --reflink=never --sparse="$ours" from "verso-$ours"; echo "exit $?"
    cp -r --reflink=never --sparse="$theirs" from "cp-$ours"
    sync -f "cp-$ours"
    diff -r from "verso-$ours" && echo "$ours: content is the same"
done
diff <(blocks from) <(blocks verso-keep) >/dev/null && echo "keep: blocks of the source"
fewer=$(stat -c '%b %B %s' verso-dense/* | awk '$1 * $2 < $3' | wc -l)
echo "dense: $fewer files have fewer blocks than bytes"
more=$(paste -d ' ' <(blocks cp-dig) <(blocks verso-dig) | awk '$4 > $2' | wc -l)
echo "dig: $more files have more blocks than cp's"
