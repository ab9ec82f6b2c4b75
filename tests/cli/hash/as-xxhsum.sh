# xxhsum and verso read each other's lines, of every kind, whichever wrote them.
command -v xxhsum >/dev/null || { echo "xxhsum is not installed" >&2; exit 77; }
: >empty
printf a >one
seq 3000000 | head -c 9437185 >large
seq 100 >'name with  spaces'
printf x >'paren) = (name'
for kind in 0 1 2 3; do
    for tag in "" --tag; do
        # shellcheck disable=SC2086 # none or one on purpose
        xxhsum -H$kind $tag empty one large name* paren* >theirs 2>/dev/null
        # shellcheck disable=SC2086
        verso hash -H$kind $tag empty one large name* paren* >ours || echo "exit $?"
        cmp theirs ours || echo "differs: $kind $tag"
        xxhsum --quiet -c ours || echo "xxhsum does not read $kind $tag"
        verso hash --quiet -c theirs || echo "verso does not read $kind $tag"
    done
done
verso hash -H1 one | cmp - <(verso hash --algorithm=xxh64 one)
verso hash <one | cmp - <(xxhsum <one 2>/dev/null)
verso hash - <one | cmp - <(xxhsum - <one 2>/dev/null)
for kind in 0 1 2 3; do verso hash -H$kind empty one; done >mixed
verso hash -c mixed
verso hash -c <mixed | tail -n 1
