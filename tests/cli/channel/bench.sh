# Figures that can be: for people and for programs; nothing stays.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
verso channel bench --seconds=0.1 --quiet >text; echo "exit $?"
sed 's/[0-9].*//; s/ *$//' text | grep -v 'without sleeping\|cache line'
for options in --size=0 '--size=4000 --kind=mpsc' '--size=100K --capacity=1M measured'; do
    # shellcheck disable=SC2086 # several words
    verso channel bench --seconds=0.1 --quiet --json $options >json || echo "exit $?"
    python3 - "$options" <<'PYTHON'
import json, sys
answer = json.load(open("json"))
assert answer["schema"] == 1 and answer["action"] == "bench"
assert len(answer["one_way"]) == 3 and len(answer["there_and_back"]) in (1, 3)
for row in answer["one_way"]:
    assert row["messages_per_second"] > 0
    bytes_per_second = row["messages_per_second"] * answer["message_bytes"]
    assert abs(row["gigabytes_per_second"] - bytes_per_second / 1e9) <= bytes_per_second / 1e12
for row in answer["there_and_back"]:
    assert row["trips"] > 0 and 0 < row["p50_ns"] <= row["p99_ns"] <= row["p999_ns"] <= row["max_ns"]
print(answer["kind"], answer["message_bytes"], answer["capacity_bytes"])
PYTHON
done
verso channel create taken
verso channel bench taken 2>told; echo "exit $?"
grep -c EEXIST told
ls names
# Ctrl-C, with its child.
verso channel bench --seconds=3600 stopped &
bench=$!
until [[ -e names/stopped ]]; do sleep 0.01; done
while kill -INT $bench 2>/dev/null; do sleep 0.05; done
ended $bench bench
ls names
