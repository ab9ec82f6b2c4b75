# The same numbers as the other commands, in one pass; by any number of threads.
seq 3000000 | head -c 9437185 >large
printf 'line\nlast' >small
value() { python3 -c 'import json, sys; print(json.load(sys.stdin)["files"][0][sys.argv[1]])' "$1"; }
for file in large small; do
    verso stat --json "$file" >stat.json
    verso count --json -lwmL "$file" >count.json
    for key in bytes lines words characters longest_bytes; do
        [[ $(value $key <stat.json) == "$(value $key <count.json)" ]] || echo "$file: $key differs"
    done
    [[ "XXH3 ($file) = $(value xxh3 <stat.json)" == "$(verso hash -H3 "$file")" ]] || echo "$file: hash differs"
    verso stat --json --threads=1 "$file" | cmp - stat.json
    verso stat --json "$file" | python3 -c '
import collections, json, math, sys
row = json.load(sys.stdin)["files"][0]
data = open(sys.argv[1], "rb").read()
counts = collections.Counter(data)
print(row["histogram"] == [counts[i] for i in range(256)])
entropy = -sum(c / len(data) * math.log2(c / len(data)) for c in counts.values())
print(abs(row["entropy"] - entropy) < 1e-6)' "$file"
done
verso stat --json large small | python3 -c '
import json, sys
answer = json.load(sys.stdin)
print(answer["total"]["files"], answer["total"]["lines"] == sum(row["lines"] for row in answer["files"]))'
