# An example comes first; `verso help X` and `verso X --help` are the same; every option is in the manual.
verso --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >names
[[ -s names ]] || echo "no commands listed"
while read -r name; do
    verso "$name" --help >by-option || echo "$name --help: exit $?"
    verso help "$name" >by-word || echo "help $name: exit $?"
    cmp by-option by-word
    head -n 1 by-option | grep -q "^verso $name - " || echo "$name: no title"
    sed -n 3p by-option | grep -q "^  \$ verso $name" || echo "$name: no example first"
    grep -q '^Usage: verso ' by-option || echo "$name: no usage"
    grep -o -e '^ *\(-., \)\?--[a-z0-9-]*' by-option | grep -o -e '--[a-z0-9-]*' | while read -r option; do
        grep -q -e "\*$option\*" "$SOURCE/docs/man/verso-$name.1.scd" || echo "$name: $option is not in the manual"
    done
done <names
