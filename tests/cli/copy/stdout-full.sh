# Checksums and JSON that don't get where they should are trouble; the copies are made all the same.
echo 1 >file
verso copy --quiet --hash file one >/dev/full; echo "exit $?"
cat one
verso copy --quiet --json file two >/dev/full; echo "exit $?"
cat two
verso copy --quiet --hash file three >&-; echo "exit $?"
cat three
verso copy file four >&- 2>/dev/null; echo "exit $?"
cat four
verso copy file five 2>&-; echo "exit $?"
cat five
mkdir tree
for i in {1..3000}; do echo "$i" >"tree/$i"; done
verso copy --quiet -r --hash tree copy | head -n 1 >first; echo "exit ${PIPESTATUS[0]}"
diff -r tree copy && echo same
