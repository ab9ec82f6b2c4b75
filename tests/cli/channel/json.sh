# A line of JSON for each message.
# shellcheck source=/dev/null
. "$SOURCE/tests/cli/channel/common.bash"
verso channel create kept
printf 'one\n\n"two" \303\244\n\377\376 not text\n\tNUL: \0\n' | verso channel send kept
verso channel receive kept --json
