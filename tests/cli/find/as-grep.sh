# What grep -F prints, line for line: rare and frequent patterns, one and several, of files and of pipes.
seq 200000 >numbers
printf 'no newline at the end 77' >open
: >empty
{ head -c 700000 /dev/zero | tr '\0' x; echo 77; head -c 700000 /dev/zero | tr '\0' y; echo; echo 77; } >long
files="numbers open empty long"
compare() { # OPTIONS PATTERN
    # shellcheck disable=SC2086 # words on purpose
    LC_ALL=C grep -aF $1 -e "$2" $files >wanted
    # shellcheck disable=SC2086
    verso find $1 -e "$2" $files >got
    cmp wanted got || echo "differs: $1 '$2'"
    for file in $files; do
        # shellcheck disable=SC2086
        LC_ALL=C grep -aF $1 -e "$2" <"$file" >wanted
        wanted=$?
        # shellcheck disable=SC2086
        verso find $1 -e "$2" $file >got
        [[ $? == "$wanted" ]] || echo "exit of $1 '$2' $file"
        [[ $1 == *-[lH]* ]] || cmp wanted got || echo "differs: $1 '$2' $file"
        # shellcheck disable=SC2086,SC2002 # a pipe on purpose
        cat $file | verso find $1 -e "$2" >got
        cmp wanted got || echo "differs: $1 '$2' a pipe of $file"
    done
}
for options in "" -c "-n -e 12 -e 121"; do
    for pattern in 77 7 nowhere "end 77"; do
        compare "$options" "$pattern"
    done
done
for options in -n -H -l; do compare "$options" xx; done
compare -i XX
printf '77\n123456\nno\n' >patterns
LC_ALL=C grep -aFnf patterns numbers open >wanted
verso find -nf patterns numbers open >got
cmp wanted got
LC_ALL=C grep -obaF 1234 numbers | cut -d : -f 1 >wanted
verso find -o 1234 numbers >got
cmp wanted got
# Who read the beginning of standard input before has had it: lines, their numbers and offsets are of what is left.
rest() { # COMMAND
    { dd bs=1 count=0 skip=100002 status=none && "$@"; } <numbers
}
LC_ALL=C rest grep -nF 1977 >wanted
rest verso find -n 1977 >got || echo "exit $?"
cmp wanted got || echo "differs: lines of the rest"
LC_ALL=C rest grep -obF 1977 | cut -d: -f1 >wanted
rest verso find -o 1977 >got || echo "exit $?"
cmp wanted got || echo "differs: offsets of the rest"
rest verso find --json 19777 | grep -c '"offset_bytes":7548'
echo done
