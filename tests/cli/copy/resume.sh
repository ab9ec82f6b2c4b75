# Killed at any moment, the same command goes on, and the copy is the same; nobody meets half a file meanwhile.
# VERSO_TEST_ROUNDS=200: a long night of it.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/copy/common.bash"
rounds=${VERSO_TEST_ROUNDS:-6}
mkdir tree
head -c 20000000 /dev/urandom >tree/large
for i in {1..50}; do head -c 20000 /dev/urandom >"tree/$i"; done
copy() { exec verso copy --quiet --archive --resume --reflink=never -T tree copy; }
began=${EPOCHREALTIME/./}
(copy); echo "exit $?"
whole_us=$((${EPOCHREALTIME/./} - began))

# killed: at a random moment of the time that a copy takes, whether or not it has ended by then
killed() {
    local delay_us=$((RANDOM * whole_us / 32768))
    (copy) &
    sleep "$((delay_us / 1000000)).$(printf %06d $((delay_us % 1000000)))"
    kill -KILL $!
    wait $! 2>/dev/null || ((++deaths))
}

# every name in the copy is one of the source, and all of it is there
is_whole() {
    local file
    for file in copy/*; do
        [[ ! -f $file ]] || cmp -s "$file" "tree/${file#copy/}" || return 1
    done
}

deaths=0 torn=0 different=0
for ((round = 0; round < rounds; ++round)); do
    rm -rf copy
    for ((kill = 0; kill <= round % 3; ++kill)); do
        killed
        is_whole || ((++torn))
    done
    (copy) && [[ $(same tree copy) == same && -z $(leftovers copy) ]] && continue
    ((++different))
    { same tree copy; leftovers copy; } >>"what differed"
done 2>/dev/null
((deaths)) || echo "nothing was interrupted"
echo "torn $torn, different $different"
[[ ! -e "what differed" ]] || cat "what differed" >&2
# Killed between the last two steps, it leaves the journal of a copy that is there.
: >copy/.large.verso-journal
(copy) && same tree copy && leftovers copy
