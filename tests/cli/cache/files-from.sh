echo 1 >one
echo 2 >two
echo 3 >$'with\nnewline'
files() { python3 -c 'import json, sys; print(json.load(sys.stdin)["total"]["files"])'; }
printf 'one\n\ntwo' >list
verso cache --json --files-from=list | files
printf 'one\ntwo\n' | verso cache --json -b - | files
find . -name '*o*' -type f -print0 | verso cache --json -0 -b - | files
printf 'one\0two\0' | verso cache -b -; echo "exit $?"
verso cache -b nowhere; echo "exit $?"
verso cache -b - </dev/null; echo "exit $?"
verso cache --json -b list one | files
