# Checksums as xxhsum prints them, of the copies by their names.
: >empty
printf 'verso' >word
for kind in "" =xxh3 =xxh128 =xxh64 =xxh32; do
    verso copy --quiet --hash$kind empty word -t . --target-directory="$(mktemp -d "$PWD/into-XXXX")" |
        sed "s|$PWD/into-....|into|"
done
verso copy --quiet --hash=md5 empty copy; echo "exit $?"
verso copy --quiet --hash --json word copy | python3 -c '
import json, sys
print(json.load(sys.stdin)["rows"][0]["digest"])'
if command -v xxhsum >/dev/null; then
    mkdir tree
    for i in {1..30}; do head -c "$((i * 1000))" /dev/urandom >"tree/$i"; done
    verso copy --quiet -r --hash=xxh64 tree out >sums
    xxhsum -c sums | grep -c ': OK'
else
    echo 30
fi
