# What a list may hold, and what comes of it.
echo a >a
echo b >b
echo c >c
verso hash a b c >sums
echo changed >b
rm c
try() {
    echo "-- $*"
    verso hash "$@"
    echo "exit $?"
}
try -c sums
try --quiet -c sums
try --status -c sums
try --ignore-missing -c sums
try --json -c sums
verso hash a >good
try -c good
try -c good sums
{
    echo
    echo '# a remark'
    echo 'no line'
    echo '1f1d2a  short'
    echo '1f1d2a4b5c6d7e8  odd number of digits'
    echo '0000000000000000 one space'
    echo '0000000000000000  '
    echo 'XXH64 (a) = 00'
    echo 'XXH65 (a) = 0000000000000000'
    echo 'XXH64 (a) = 0000000000000000 more'
    echo '\0000000000000000  bad\escape'
    printf '0000000000000000  a\0b\n'
    tr a-f A-F <good | sed 's/  A/ *a/'
    printf '%s' "$(sed 's/^/XXH3_/' good)"
} >odd
try -c odd
try --warn --strict -c odd
echo nothing >none
try -c none
try -c nowhere
try -c .
echo '0000000000000000  gone' >missing
try --ignore-missing -c missing
try --status a
try --tag -c good
try -H4 a
