# The published values of the family for nothing at all, and of known content.
: >empty
printf 'hello\n' >hello
for kind in 0 1 2 3; do verso hash -H$kind empty hello; done
verso hash --json -H2 hello
verso hash --json --check <(verso hash hello)
