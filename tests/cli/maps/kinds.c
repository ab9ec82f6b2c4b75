/* SPDX-License-Identifier: MIT */
/*
 * kinds - one of each kind of memory, made through libverso, for kinds.sh to look at.
 *
 * Prints a line for each, "KIND TRAITS GUARD-PAGES GUARD-PLACES ADDRESS", or "without WHAT CODE" where this machine has
 * no such thing; then an empty line, and waits until its stdin ends.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso.h>

#define SPAN_BYTES ((size_t)1 << 20)

static size_t page_bytes;

static void show(const char *kind, const char *traits, int guard_pages, int guard_places, const void *address)
{
    printf("%s %s %d %d %p\n", kind, traits, guard_pages, guard_places, address);
}

static int lacks(const char *what, int code)
{
    if (code < 0)
        printf("without %s %s\n", what, verso_error_name(code));
    return code < 0;
}

/* NULL where there is no such span. */
static struct verso_pages *span(const char *what, unsigned kind, unsigned flags, uint64_t bytes)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages = NULL;

    options.kind = kind;
    options.flags = flags | VERSO_PAGES_GUARD_ENDS; /* so that no two spans are one mapping */
    return lacks(what, verso_pages_open(bytes, &options, &pages)) ? NULL : pages;
}

/* Three guards in two places, markers where the kernel has them. */
static void make_guarded(void)
{
    struct verso_pages *pages = span("spans", VERSO_PAGES_PRIVATE, 0, 4 * SPAN_BYTES);
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    int markers;

    if (!pages || lacks("commit", verso_pages_commit(pages, 0, SPAN_BYTES)) ||
        lacks("guards", verso_pages_guard(pages, page_bytes, 2 * page_bytes)) ||
        lacks("guards", verso_pages_guard(pages, 16 * page_bytes, page_bytes)) ||
        lacks("info", verso_pages_info(pages, &info)))
        return;
    markers = info.guard_method == VERSO_PAGES_GUARD_MARKERS;
    show("memory", "-", markers ? 3 : 0, markers ? 2 : 0, verso_pages_data(pages));
    show("reserved", "-", 0, 0, (char *)verso_pages_data(pages) + SPAN_BYTES);
}

static void make_spans(void)
{
    struct verso_pages *pages = span("droppable", VERSO_PAGES_DROPPABLE, VERSO_PAGES_COMMIT, SPAN_BYTES);

    if (pages)
        show("droppable", "wipe-on-fork,no-core", 0, 0, verso_pages_data(pages));
    pages = span("secret", VERSO_PAGES_SECRET, VERSO_PAGES_COMMIT, 16 * page_bytes);
    if (pages)
        show("secret", "locked,no-core", 0, 0, verso_pages_data(pages));
    pages = span("shared", VERSO_PAGES_SHARED, VERSO_PAGES_COMMIT, SPAN_BYTES);
    if (pages)
        show("memfd", "-", 0, 0, verso_pages_data(pages));
    pages = span("sealed", VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT, SPAN_BYTES);
    if (pages && !lacks("mseal", verso_pages_seal(pages)))
        show("memory", "sealed", 0, 0, verso_pages_data(pages));
    pages = span("protected", VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT, SPAN_BYTES);
    if (pages)
        memset(verso_pages_data(pages), 1, page_bytes); /* empty, it would be bare addresses again */
    if (pages && !lacks("protect", verso_pages_protect(pages, 0, SPAN_BYTES, VERSO_PAGES_ACCESS_NONE)))
        show("no-access", "-", 0, 0, verso_pages_data(pages));
}

static void make_ring(void)
{
    struct verso_ring *ring;
    void *first;

    if (lacks("ring", verso_ring_open(16 * page_bytes, NULL, &ring)) ||
        lacks("reserve", verso_ring_reserve(ring, 1, &first, NULL)))
        return;
    show("mirrored", "no-fork", 0, 0, first);
    show("mirrored", "no-fork,no-core", 0, 0, (char *)first + verso_ring_capacity_bytes(ring));
}

static void make_code(unsigned mode, unsigned flags, const char *kind, const char *writer_traits, const char *traits)
{
    static const unsigned char nothing[16]; /* nobody runs it */
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;
    const void *block;
    void *writer;

    options.mode = mode;
    options.flags = flags;
    if (lacks(kind, verso_code_open(&options, &code)) ||
        lacks(kind, verso_code_add(code, nothing, sizeof(nothing), &block)))
        return;
    show(kind, traits, 0, 0, block);
    if (mode == VERSO_CODE_DUAL && !lacks("begin", verso_code_begin(code, block, &writer)))
        show("code-write", writer_traits, 0, 0, writer);
}

static void make_clones(void)
{
    struct verso_clone_base *base;
    struct verso_clone *clone;

    if (lacks("base", verso_clone_base_make(SPAN_BYTES, 0, &base)) ||
        lacks("clone", verso_clone_open(base, 0, 0, &clone)))
        return;
    memset(verso_clone_data(clone), 1, 2 * page_bytes);
    show("memfd", "-", 0, 0, verso_clone_base_data(base));
    show("clone", "-", 0, 0, verso_clone_data(clone));
}

static void make_tracked(void)
{
    struct verso_pages *pages = span("tracked", VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT, SPAN_BYTES);
    struct verso_clone_track *track;

    if (pages &&
        !lacks("uffd", verso_clone_track_begin(verso_pages_data(pages), SPAN_BYTES, VERSO_CLONE_TRACK_KERNEL, &track)))
        show("memory", "tracked", 0, 0, verso_pages_data(pages));
}

/* What verso never makes. */
static void make_raw(void)
{
    const int all = PROT_READ | PROT_WRITE | PROT_EXEC;
    void *open_code = mmap(NULL, SPAN_BYTES, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *shared = mmap(NULL, SPAN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (open_code == MAP_FAILED)
        printf("without writable-code -\n");
    else
        show("code", "-", 0, 0, open_code);
    if (shared != MAP_FAILED)
        show("shared", "-", 0, 0, shared);
}

int main(void)
{
    char end;

    page_bytes = verso_page_bytes();
    make_guarded();
    make_spans();
    make_ring();
    make_code(VERSO_CODE_DUAL, VERSO_CODE_SEAL, "code-run", "sealed,no-fork", "sealed");
    make_code(VERSO_CODE_TOGGLE, 0, "code", NULL, "-");
    make_clones();
    make_tracked();
    make_raw();
    puts("");
    (void)fflush(stdout);
    return read(STDIN_FILENO, &end, 1) < 0;
}
