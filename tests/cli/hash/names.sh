# Names with anything in them go out and come back.
touch -- $'new\nline' $'car\rriage' 'back\slash' $'\xff' -dash ' ' $'\e[2J' 'plain'
verso hash -- * >sums
wc -l <sums
grep -c '^\\' sums
verso hash --tag -H3 -- * >tagged
for list in sums tagged; do
    verso hash -c "$list" >checked; echo "exit $?"
    LC_ALL=C sort checked
done
mkdir tree
for i in {1..200}; do echo "$i" >"tree/$i"; done
verso hash -r tree >sums
verso hash --threads=1 -r tree | cmp - sums
verso hash --quiet -c sums && echo all
cut -c 19- sums | LC_ALL=C sort -c && echo sorted
