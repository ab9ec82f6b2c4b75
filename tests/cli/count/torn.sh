# What fails in the middle is counted up to there, marked, and told with the offset; the others are whole.
seq 10 >ten
verso count -c -l /proc/self/mem ten
echo "exit $?"

wait_until_working() { # PID: it has mapped a part of the file, or read some
    until grep -q '/sparse$' /proc/"$1"/maps || (($(sed -n 's/^rchar: //p' /proc/"$1"/io) > 16 << 20)); do sleep 0.01; done
}
for method in mapped read; do
    truncate -s 1T sparse
    verso count -lc --method=$method sparse ten >counted 2>said &
    wait_until_working $!
    truncate -s 4096 sparse
    wait $!
    echo "exit $?"
    python3 - <<'EOF'
import re
said, rows = open("said").read(), open("counted").read().splitlines()
at = int(re.search(r"sparse: at byte (\d+): ", said).group(1))
lines, bytes_, name = rows[0].split(None, 2)
print(lines, at == int(bytes_) and 4096 <= at < 1 << 40, name, "|", *rows[1].split())
EOF
    truncate -s 1T sparse
    verso count -lc --method=$method sparse ten >counted 2>&1 &
    wait_until_working $!
    kill -INT $!
    wait $!
    echo "exit $?"
    grep -c -e '(partial)' -e interrupted counted
done
