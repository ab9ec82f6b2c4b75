# However many threads look, they find the same.
python3 - <<'END'
import os
for i in range(40):
    os.makedirs(f"tree/{i % 7}/{i}")
    for j in range(30):
        open(f"tree/{i % 7}/{i}/{j}", "w").write("x" * j * 300)
    os.link(f"tree/{i % 7}/{i}/5", f"tree/{i % 7}/{i}/link")
for j in range(500):
    open(f"tree/{j}-file", "w").write("x")
END
sync tree
for threads in 1 2 16; do
    verso cache --json --ignore=link --threads=$threads tree >$threads || echo "exit $?"
    cmp 1 $threads
done
for _ in {1..10}; do
    verso cache --summary --json --threads=16 tree
done | grep -o '"files":[0-9]*,"bytes":[0-9]*' | sort | uniq -c | sed 's/^ *//'
