# What fails in the middle is counted up to there, marked, and told with the offset; the others are whole.
seq 10 >ten
verso count -c -l /proc/self/mem ten
echo "exit $?"
