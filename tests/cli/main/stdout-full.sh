verso --help >/dev/full; echo $? >&2
verso doctor --json >/dev/full; echo $? >&2
