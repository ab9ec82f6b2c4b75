# Cases source this: files with known pages in the cache, on a file system that can drop them.
# shellcheck shell=bash
page=$(getconf PAGESIZE)

# make NAME PAGES: a file that is on the disk and wholly cached
make_file() {
    head -c $(($2 * page)) /dev/urandom >"$1"
    sync "$1"
}

# need_disk: tmpfs cannot evict
need_disk() {
    if [[ $(stat -f -c %T .) == tmpfs ]]; then
        echo "the directory is memory itself: what it holds can't be evicted" >&2
        exit 77
    fi
}

# field JSON-FILE EXPRESSION: of the answer, as Python sees it
field() { python3 -c "import json, sys; answer = json.load(open(sys.argv[1])); print($2)" "$1"; }

# cached FILE [OPTION...]: pages
cached() {
    verso cache --json "$@" >counts.json
    field counts.json 'answer["total"]["cached"]'
    rm counts.json
}
