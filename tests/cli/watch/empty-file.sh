# An empty file is a file: it has no pages, and that is said.
: >empty
verso watch --once empty
verso watch --once --json empty | grep -c -e '"schema": 1,' -e '"pages": 0,' -e '"cached_runs": \[\]'
