# What is there stays with --no-replace, and what is newer with --update.
mkdir tree out
echo new >tree/a
echo new >tree/b
echo old >out/a
verso copy --no-replace -rT tree out 2>&1 | sed 's/ in .*//'; echo "exit ${PIPESTATUS[0]}"
cat out/a out/b
touch -d 2001-01-01 tree/a
echo newer >tree/b
touch -d 2001-01-01 out/b
verso copy --quiet --update -rT tree out; echo "exit $?"
cat out/a out/b
verso copy --quiet --update tree/a out/a; echo "exit $?"
cat out/a
touch -r out/a tree/a
verso copy --json --update tree/a out/a | grep up_to_date
cat out/a
touch tree/a
verso copy --quiet --update tree/a out/a; echo "exit $?"
cat out/a
verso copy --quiet -n tree/a out/c; echo "exit $?"
cat out/c
