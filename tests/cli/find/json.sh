lines() { sed 's/},{/},\n{/g'; } # of a width that can be read
printf 'x y\nG\n\377x\0\\\n' >t
for options in "" -n -o "-o -e y" -c --count-matches -l; do
    # shellcheck disable=SC2086 # words on purpose
    verso find --json -e x $options t t | lines
done
verso find --json -n x <t | lines
verso find --json nowhere t; echo "exit $?"
for options in "" -o -c; do
    verso find --json --explain $options x t 2>/dev/null | python3 -c '
import json, sys
print(*sorted(json.load(sys.stdin)["files"][0]))'
done
