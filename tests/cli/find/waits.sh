# Lines of a pipe come out when they come in, not at its end; a closed output ends the work; Ctrl-C too.
mkfifo in
verso find -n one <in >out &
exec 4>in
echo one >&4
until [[ -s out ]]; do sleep 0.01; done
cat out
echo "and one" >&4
exec 4>&-
wait $!; echo "exit $?"
cat out

yes one | verso find one | head -n 1
echo "exit ${PIPESTATUS[1]}"

rm out
verso find one <in >out 2>&1 &
exec 4>in
echo one >&4
until [[ -s out ]]; do sleep 0.01; done
kill -INT $!
wait $!; echo "exit $?"
cat out
