# What is said, and what is not: the account, a line for each file, --explain, --quiet, --json.
mkdir tree
head -c 10000 /dev/zero >tree/data
: >tree/empty
without_rate() { sed -E 's/in [0-9.]+ m?s(, [0-9.]+ [KMG]?i?B\/s)?/TIME/; s/(; by [a-z_]+): .*/\1: WHY/'; }
verso copy --reflink=never --method=read tree/data copy 2>&1 | without_rate
verso copy -r -j 1 --reflink=never --method=read tree one 2>&1 | without_rate
verso copy -r -j 1 -v --reflink=never --method=read tree two 2>&1 | sort | without_rate
verso copy --explain --reflink=never --method=read tree/data three 2>&1 | without_rate
head -c 100000 /dev/zero >wide
verso copy --explain wide again 2>&1 | grep -E 'by ([a-z_]+): \1' # the method is named once
verso copy --explain tree/empty again 2>&1 | without_rate
verso copy --quiet -v tree/data four
verso copy --json tree/data five 2>said | python3 -c '
import json, sys
answer = json.load(sys.stdin)
print(answer["schema"], answer["files"], answer["bytes"], "rows" in answer,
      sum(answer[kind + "_bytes"] for kind in ("reflinked", "offloaded", "copied", "hole", "same")))'
cat said
verso copy --json -v tree/data six | python3 -c '
import json, sys
row = json.load(sys.stdin)["rows"][0]
print(row["source"], row["target"], row["bytes"], bool(row["why"]), row["verified"])'
verso copy --quiet --json tree/nothing seven >json; echo "exit $?"
python3 -c 'import json; print(json.load(open("json"))["left_out"])'
