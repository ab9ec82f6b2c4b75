# Lines of different files are never mixed, whatever the threads; the order is that of the names.
mkdir tree
for i in {1..300}; do seq -f "$i-%g" 200 >"tree/$i"; done
{ for i in {1..300000}; do echo "large-$i"; done; head -c 9000000 /dev/zero | tr '\0' '\n'; } >tree/150large
find tree -type f | LC_ALL=C sort >sorted
mapfile -t files <sorted
for pattern in -1 nowhere 199 large; do
    LC_ALL=C grep -F -e "$pattern" "${files[@]}" >wanted
    for options in "" --threads=1 --threads=5; do
        # shellcheck disable=SC2086 # none or one on purpose
        verso find $options -r -e "$pattern" tree >got
        cmp wanted got || echo "differs: $options $pattern"
    done
done
verso find -r --count -e 250-7 tree | grep -v ':0$'
