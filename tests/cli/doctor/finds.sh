# The text names each feature once, with a word for its state, and ends well on a machine that can run the tests.
verso doctor >text || echo "exit $?"
verso doctor --json >json
python3 - <<'END'
import json
lines = open("text").read().splitlines()
answer = json.load(open("json"))
assert list(answer)[0] == "schema" and answer["schema"] == 1
marks = {"present": "+", "absent": "-", "forbidden": "x", "untried": "?"}
for feature in answer["features"]:
    start = f" {marks[feature['state']]} {feature['name']:<34} {feature['state']}"
    found = [line for line in lines if line.startswith(start)]
    assert len(found) == 1, (start, found)
    assert (feature["error"] == 0) == (feature["state"] == "present"), feature
    assert feature["error_name"] is None or feature["error_name"] in found[0]
    if feature["state"] != "present":
        assert lines[lines.index(found[0]) + 1].split(None, 1) == ["without", feature["without"]], feature
for limit in answer["limits"]:
    if limit["bites"]:
        assert any(line.startswith(f" ! {limit['name']} ") for line in lines), limit
        assert any(limit["change"] in line for line in lines), limit
assert answer["limits_biting"] == sum(limit["bites"] for limit in answer["limits"])
assert not any(line.endswith(" ") for line in lines)
END
