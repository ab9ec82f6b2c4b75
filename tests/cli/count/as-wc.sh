# Byte for byte what wc prints, of files that differ at every border there is.
: >empty
printf '\n' >newline
printf 'no newline at the end' >open
printf ' \t\v\f\r\n a  b\n\n' >blanks
printf 'x%.0s' {1..5000} >long
seq 100000 >numbers
seq 3000000 | head -c 9437184 >large
head -c 300000 /dev/zero >zeros
compare() { # OPTIONS NAMES
    # shellcheck disable=SC2086 # words on purpose
    LC_ALL=C wc ${1:--l} $2 >wanted
    # shellcheck disable=SC2086
    verso count $1 $2 >got || echo "exit $?"
    cmp wanted got || echo "differs: $1 $2"
}
for options in "" -l -w -c -m -L -lw -cl -lwcmL --bytes "--words --max-line-length"; do
    compare "$options" "empty newline open long numbers large"
    compare "$options" numbers
    compare "$options" empty
    compare "$options" "empty empty"
done
compare -lc "zeros blanks" # a word of zeros is none for wc, and blanks have widths
compare -w blanks
for names in "" - "- numbers" "numbers -"; do
    # shellcheck disable=SC2086
    seq 10 | wc $names >wanted
    # shellcheck disable=SC2086
    seq 10 | verso count -lwc $names >got || echo "exit $?"
    cmp wanted got || echo "differs: $names"
done
# Who read the beginning of standard input before has had it: what is left counts, and is read then.
for options in -l -c -lwc; do
    for skipped in 1 100 588895 588896; do
        { dd bs=1 count=0 skip=$skipped status=none && wc $options; } <numbers >wanted
        { dd bs=1 count=0 skip=$skipped status=none && verso count $options; } <numbers >got || echo "exit $?"
        cmp wanted got || echo "differs: $options behind $skipped"
    done
done
{ dd bs=1 count=0 skip=100 status=none && verso count && cat; } <numbers | sed 1d
# Its size is a page, whatever it holds.
page_of_sys=/sys/devices/system/cpu/online
[[ -r $page_of_sys ]] && compare -c $page_of_sys
echo done
