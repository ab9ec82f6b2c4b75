/* SPDX-License-Identifier: MIT */
/*
 * bench_scan - `verso count`, `find` and `hash` beside wc, ripgrep, ugrep, grep and xxhsum.
 *
 * The same file in each state its pages can be in (files.h), because that decides who is fast: large folios, base
 * pages, not cached, and more of it than memory. Peers get the flags they are fastest with. Counting lines, for the
 * greps, is to count lines without a word that no line holds: many times faster than the empty pattern, or '$'.
 */
#include "commands.h"
#include "files.h"
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)
#define ROUNDS 7
#define ROUNDS_OF_SLOW 5
#define SMALL_COUNT 10000
#define SMALL_BYTES 4096
#define NOWHERE "qqqqqqqq" /* a word that no line holds */
#define PEAK_KIB (64 * 1024)

static char *text; /* the large file */
static uint64_t text_bytes;
static char *part; /* a smaller one, for what takes peers seconds a GiB */
static uint64_t part_bytes;
static double limit; /* GB/s of counting newlines in memory, all threads */

static void warm(const char *state, void (*bring_about)(const char *path))
{
    struct files_state seen;

    bring_about(text);
    seen = files_look(text);
    bench_note("%s: %.1f %% cached, %.1f %% mapped by huge entries, %.2f faults a MiB", state, seen.cached_share * 100,
               seen.huge_share * 100, seen.faults_per_mib);
}

/* What was measured as cached must have been so to the end. */
static void still_warm(const char *state)
{
    double share = files_look(text).cached_share;

    if (share < 0.999)
        bench_note("%s: only %.1f %% was still cached in the end: the rows above are not what they say", state,
                   share * 100);
}

/* ---- Lines ---- */

static void count_beside(const char *name, struct command peer, void (*before)(void *), int rounds, double machine,
                         const char *machine_name)
{
    commands_compare(&(struct command_row){
        .name = name,
        .verso = COMMAND(answer_first, "verso", "count", text),
        .peer = peer,
        .before = before,
        .subject = text,
        .bytes = (double)text_bytes,
        .rounds = rounds,
        .limit = machine,
        .limit_name = machine_name,
    });
}

static void count_beside_all(const char *name)
{
    count_beside(name, COMMAND(answer_first, "wc", "-l", text), NULL, ROUNDS, limit, "counting in memory");
    count_beside(name, COMMAND(answer_first, "rg", "-cv", NOWHERE, text), NULL, ROUNDS, limit, "counting in memory");
    count_beside(name, COMMAND(answer_first, "ugrep", "-cv", NOWHERE, text), NULL, ROUNDS, limit, "counting in memory");
    count_beside(name, COMMAND(answer_first, "grep", "-cv", NOWHERE, text), NULL, ROUNDS, limit, "counting in memory");
}

static void evict_text(void *path)
{
    files_evict(path);
}

/* The disk itself is a peer: it takes its turns like the others, for its speed wanders more than any. */
static void bench_cold(void)
{
    const char *name = "count lines, cold";
    struct command_row disk = {
        .name = name,
        .verso = COMMAND(answer_first, "verso", "count", text),
        .before = evict_text,
        .subject = text,
        .bytes = (double)text_bytes,
        .rounds = ROUNDS_OF_SLOW,
    };

    if (!bench_wanted(name))
        return;
    disk.peer_name = "disk: O_DIRECT, 8 deep";
    disk.peer_function = machine_count_direct;
    commands_compare(&disk);
    disk.peer_name = "disk: read 1 MiB";
    disk.peer_function = machine_count_buffered;
    commands_compare(&disk);
    count_beside(name, COMMAND(answer_first, "wc", "-l", text), evict_text, ROUNDS_OF_SLOW, 0, NULL);
    count_beside(name, COMMAND(answer_first, "rg", "-cv", NOWHERE, text), evict_text, ROUNDS_OF_SLOW, 0, NULL);
}

/* As after a pass through the file by somebody: its end is what is cached. */
static void pass_before(void *path)
{
    files_evict(path);
    (void)commands_run(COMMAND(NULL, "wc", "-l", path));
}

static void bench_little_memory(void)
{
    const char *name = "count again, file of 4 memories";

    if (!bench_wanted(name) || !commands_limit_memory(text_bytes / 4))
        return;
    bench_note("%s: a control group of %llu MiB, and a pass by wc before each", name,
               (unsigned long long)(text_bytes / 4 / MIB));
    count_beside(name, COMMAND(answer_first, "wc", "-l", text), pass_before, ROUNDS_OF_SLOW, 0, NULL);
    count_beside(name, COMMAND(answer_first, "rg", "-cv", NOWHERE, text), pass_before, ROUNDS_OF_SLOW, 0, NULL);
    (void)commands_limit_memory(0);
    files_evict(text); /* pages of the group go with their file, not with the group */
}

/* ---- Small files ---- */

static void small_beside(const char *name, struct command verso, struct command peer)
{
    commands_compare(&(struct command_row){ .name = name, .verso = verso, .peer = peer });
}

static void bench_small_files(void)
{
    const char *name = "count lines, 10,000 files of 4 KiB";
    char *tree, *from;

    if (!bench_wanted(name))
        return;
    tree = files_tree("small", SMALL_COUNT, SMALL_BYTES);
    from = bench_text("--files0-from=%s", files_tree_list(tree, SMALL_COUNT));
    small_beside(name, COMMAND(answer_last_line, "verso", "count", from), COMMAND(answer_last_line, "wc", "-l", from));
    small_beside(name, COMMAND(answer_last_line, "verso", "count", "-r", tree),
                 COMMAND(answer_sum_of_ends, "rg", "-cv", "--no-ignore", "--hidden", NOWHERE, tree));
    small_beside(name, COMMAND(answer_last_line, "verso", "count", "-r", tree),
                 COMMAND(answer_sum_of_ends, "ugrep", "-rcv", NOWHERE, tree));
    small_beside(name, COMMAND(answer_last_line, "verso", "count", "-r", tree),
                 COMMAND(answer_sum_of_ends, "grep", "-rcv", NOWHERE, tree));
}

static void bench_start_up(void)
{
    char *tiny = files_text("tiny", 100, 0);

    small_beside("count lines, one file of 100 bytes", COMMAND(answer_first, "verso", "count", tiny),
                 COMMAND(answer_first, "wc", "-l", tiny));
    small_beside("hash, one file of 100 bytes", COMMAND(answer_digest, "verso", "hash", "-H3", tiny),
                 COMMAND(answer_digest, "xxhsum", "-q", "-H3", tiny));
    small_beside("find, one file of 100 bytes", COMMAND(answer_first, "verso", "find", "-c", files_frequent_word, tiny),
                 COMMAND(answer_first, "grep", "-cF", files_frequent_word, tiny));
}

/* ---- Checksums, words, needles ---- */

static void bench_hash(const char *name, const char *kind)
{
    char *peer_name = bench_text("xxhsum %s", kind);

    commands_compare(&(struct command_row){
        .name = name,
        .verso = COMMAND(answer_digest, "verso", "hash", kind, text),
        .peer = COMMAND(answer_digest, "xxhsum", "-q", kind, text),
        .peer_name = peer_name,
        .bytes = (double)text_bytes,
        .rounds = ROUNDS,
    });
}

/* wc takes seconds for each GiB of words. */
static void bench_words(void)
{
    const char *name = "count words, 1/8";
    commands_compare(&(struct command_row){
        .name = name,
        .verso = COMMAND(answer_first, "verso", "count", "-w", part),
        .peer = COMMAND(answer_first, "wc", "-w", part),
        .bytes = (double)part_bytes,
        .rounds = ROUNDS_OF_SLOW,
    });
}

/* Lines that hold a word, or one of those in a file of patterns. */
static void find_beside_all(const char *name, const char *how, const char *what, const char *where, uint64_t bytes)
{
    struct command_row row = {
        .name = name,
        .verso = COMMAND(answer_first, "verso", "find", "-c", how, what, where),
        .bytes = (double)bytes,
        .rounds = ROUNDS_OF_SLOW,
    };

    row.peer = COMMAND(answer_first, "rg", "-cF", how, what, where);
    commands_compare(&row);
    row.peer = COMMAND(answer_first, "ugrep", "-cF", how, what, where);
    commands_compare(&row);
    row.peer = COMMAND(answer_first, "grep", "-cF", how, what, where);
    commands_compare(&row);
}

/* A file of 16 patterns, one of which is @word; the others look like words of the text, and are not in it. */
static char *patterns(const char *name, const char *word)
{
    static const char *const others[] = { "quagmire",     "zephyr",    "obelisk",  "marzipan",  "gazebo",
                                          "juxtapose",    "fjordland", "wyvern",   "haberdash", "kaleidoscope",
                                          "pumpernickel", "xylophone", "vortexes", "brimstone", "yttrium" };
    char *path = bench_text("%s/%s", bench_directory(), name);
    FILE *file = fopen(path, "we");

    if (!file)
        bench_die(path);
    (void)fprintf(file, "%s\n", word);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        (void)fprintf(file, "%s\n", others[i]);
    if (fclose(file) != 0)
        abort();
    return path;
}

static void bench_find(void)
{
    find_beside_all("find a rare needle", "-e", files_rare_word, text, text_bytes);
    find_beside_all("find a frequent needle", "-e", files_frequent_word, text, text_bytes);
    find_beside_all("find 16 rare needles, 1/8", "-f", patterns("rare", files_rare_word), part, part_bytes);
    find_beside_all("find 16 needles, 1 frequent, 1/8", "-f", patterns("frequent", files_frequent_word), part,
                    part_bytes);
}

static void bench_base_pages(void)
{
    const char *count = "count lines, base pages", *hash = "hash XXH3, base pages",
               *find = "find a rare needle, base pages";

    if (!bench_wanted(count) && !bench_wanted(hash) && !bench_wanted(find))
        return;
    warm("base pages", files_cache_base);
    count_beside_all(count);
    bench_hash(hash, "-H3");
    find_beside_all(find, "-e", files_rare_word, text, text_bytes);
    still_warm("base pages");
}

/* ---- Memory ---- */

static void peak_beside(const char *name, struct command verso, struct command peer)
{
    if (!bench_wanted(name) || !commands_verso_has(verso.arguments[1]) || !bench_has(peer.arguments[0]))
        return;
    bench_row(name, peer.arguments[0], "KiB", commands_peak_kib(verso), commands_peak_kib(peer), true, PEAK_KIB);
}

static void bench_peak(void)
{
    if (!bench_wanted("peak RSS"))
        return;
    bench_note("peak RSS: the limit is 64 MiB; a share of 100 %% or more is within it");
    peak_beside("peak RSS, count", COMMAND(NULL, "verso", "count", text), COMMAND(NULL, "wc", "-l", text));
    peak_beside("peak RSS, count", COMMAND(NULL, "verso", "count", text), COMMAND(NULL, "rg", "-cv", NOWHERE, text));
    peak_beside("peak RSS, words", COMMAND(NULL, "verso", "count", "-w", text), COMMAND(NULL, "wc", "-l", text));
    peak_beside("peak RSS, hash", COMMAND(NULL, "verso", "hash", "-H3", text),
                COMMAND(NULL, "xxhsum", "-q", "-H3", text));
    peak_beside("peak RSS, find", COMMAND(NULL, "verso", "find", "-c", "-e", files_rare_word, text),
                COMMAND(NULL, "rg", "-cF", files_rare_word, text));
}

int main(int count, char **arguments)
{
    bench_start(count, arguments, "scan");
    (void)setenv("LC_ALL", "C", 1);
    machine_note();
    text_bytes = files_scaled_bytes(2 * GIB, 3) / FILES_LINE_BYTES * FILES_LINE_BYTES;
    text = files_text("text", text_bytes, 0);
    part_bytes = text_bytes / 8 / FILES_LINE_BYTES * FILES_LINE_BYTES;
    part = files_text("part", part_bytes, 0);
    files_cache_large(part);
    limit = machine_count_memory(text_bytes / 2);
    bench_note("text of %llu MiB, and 1/8 of it; counting newlines in memory with %u threads: %.1f GB/s",
               (unsigned long long)(text_bytes / MIB), machine_thread_count(), limit);
    warm("large folios", files_cache_large);
    count_beside_all("count lines, large folios");
    bench_hash("hash XXH3, large folios", "-H3");
    bench_hash("hash XXH128, large folios", "-H2");
    bench_words();
    bench_find();
    bench_peak();
    still_warm("large folios");
    bench_base_pages();
    bench_cold();
    bench_little_memory();
    bench_small_files();
    bench_start_up();
    return bench_finish();
}
