/* SPDX-License-Identifier: MIT */
/*
 * copy - files and trees from here to there, by the fastest way, never half, and with an account of what was done.
 */
#include "copy.h"
#include "copy_links.h"
#include "output.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <verso/guard.h>

#define JOBS_MAX 64
#define JOBS_UNASKED_MAX 4
#define QUEUE_MAX 64
#define UNASKED UINT_MAX

struct copy_request copy_request = { .options = VERSO_COPY_OPTIONS_INIT };

static bool no_directory, no_replace, in_place, delta, verify, durable, resume, accept_changed;
static const char *target_directory;
static unsigned sparse, method, hash = UNASKED;
static uint64_t job_count;

static const struct option_row options[] = {
    { 'r', "recursive", OPTION_FLAG, NULL, "copy directories with all they hold", &copy_request.recursive },
    { 'a', "archive", OPTION_FLAG, NULL,
      "-r, and keep permissions, times, owners, ACLs, extended attributes, hard links", &copy_request.archive },
    { 't', "target-directory", OPTION_TEXT, "DIR", "copy everything into DIR", &target_directory },
    { 'T', "no-target-directory", OPTION_FLAG, NULL, "the last name is the copy's, also where it is a directory",
      &no_directory },
    { 'n', "no-replace", OPTION_FLAG, NULL, "leave what is there", &no_replace },
    { 'u', "update", OPTION_FLAG, NULL, "only files that are newer than what is there", &copy_request.update },
    { 'x', "one-file-system", OPTION_FLAG, NULL, "do not go into other file systems", &copy_request.one_file_system },
    { 0, "reflink", OPTION_CHOICE, "auto|always|never", "share blocks with the source; never: blocks of its own",
      &copy_request.options.reflink },
    { 0, "sparse", OPTION_CHOICE, "keep|dig|dense", "holes: as they are, also for pages of zeros, none", &sparse },
    { 0, "in-place", OPTION_FLAG, NULL, "write into what is there, instead of replacing it when the copy is whole",
      &in_place },
    { 0, "delta", OPTION_FLAG, NULL, "in place, and only pages that differ", &delta },
    { 0, "resume", OPTION_FLAG, NULL, "go on where the same command was interrupted", &resume },
    { 0, "durable", OPTION_FLAG, NULL, "end when all is on stable storage", &durable },
    { 0, "verify", OPTION_FLAG, NULL, "read the copy back from the disk and compare", &verify },
    { 0, "hash", OPTION_MAYBE_CHOICE, "xxh3|xxh128|xxh64|xxh32", "print checksums of the copies, as xxhsum does",
      &hash },
    { 0, "accept-changed", OPTION_FLAG, NULL, "keep the copy of a file that changed meanwhile", &accept_changed },
    { 0, "cache", OPTION_CHOICE, "keep|neutral|drop", "the page cache: do not care, leave as it was, keep out of it",
      &copy_request.options.cache },
    { 0, "method", OPTION_CHOICE, "auto|range|splice|mapped|read", "how to copy what cannot be shared", &method },
    { 'j', "jobs", OPTION_COUNT, "COUNT", "how many files at once", &job_count },
    { 'v', "verbose", OPTION_FLAG, NULL, "a line for each file", &copy_request.verbose },
    { 0, "explain", OPTION_FLAG, NULL, "a line for each file with method, reason and rate", &copy_request.explain },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* ---- What was asked for ---- */

/* Which ways of copying exclude what else was asked for. */
static int check_ways(void)
{
    const bool in_kernel = method == 1 || method == 2, never = copy_request.options.reflink == VERSO_COPY_REFLINK_NEVER;
    const bool looks = delta || verify || resume || hash != UNASKED || sparse == 1;

    if (in_kernel && looks)
        return trouble("--method=range and splice show no bytes: not with --delta, --verify, --resume, --hash, "
                       "--sparse=dig");
    if (method == 3 && copy_request.options.cache != VERSO_COPY_CACHE_KEEP)
        return trouble("--method=mapped keeps pages in memory: not with --cache=neutral and drop");
    if (method == 1 && never)
        return trouble("--method=range may share blocks: not with --reflink=never");
    if (copy_request.options.reflink == VERSO_COPY_REFLINK_ALWAYS && (in_place || delta || sparse || method))
        return trouble("--reflink=always copies no bytes: not with --in-place, --delta, --sparse, --method");
    if (copy_request.options.reflink == VERSO_COPY_REFLINK_ALWAYS && accept_changed && looks)
        return trouble("--reflink=always with --accept-changed: what is shared would be of another moment than what "
                       "--verify, --resume and --hash look at");
    return -1;
}

static int check_options(int count)
{
    if (target_directory && no_directory)
        return trouble("--target-directory and --no-target-directory exclude each other");
    if (count == 0)
        return trouble("name what to copy, and where to; see `verso copy --help`");
    if (count == 1 && !target_directory) {
        return trouble("name where to copy it, too; see `verso copy --help`");
    }
    if (no_directory && count > 2)
        return trouble("--no-target-directory: only one source can get that name");
    if (job_count > JOBS_MAX)
        return trouble("--jobs: at most %d", JOBS_MAX);
    if ((in_place || delta) && (no_replace || resume))
        return trouble("--in-place and --delta exclude --no-replace and --resume");
    return check_ways();
}

static void set_request(void)
{
    static const unsigned sparse_flags[] = { 0, VERSO_COPY_DIG_HOLES, VERSO_COPY_DENSE };
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct verso_copy_options *wanted = &copy_request.options;

    copy_request.recursive |= copy_request.archive;
    wanted->flags = sparse_flags[sparse] | (copy_request.archive ? VERSO_COPY_ARCHIVE : 0U) |
                    (in_place ? VERSO_COPY_IN_PLACE : 0U) | (delta ? VERSO_COPY_DELTA : 0U) |
                    (no_replace ? VERSO_COPY_NO_REPLACE : 0U) | (durable ? VERSO_COPY_DURABLE : 0U) |
                    (verify ? VERSO_COPY_VERIFY : 0U) | (resume ? VERSO_COPY_RESUME : 0U) |
                    (accept_changed ? VERSO_COPY_ACCEPT_CHANGED : 0U);
    wanted->method = method ? method + 1 : VERSO_COPY_METHOD_AUTO; /* REFLINK is a matter of --reflink */
    wanted->digest = hash == UNASKED ? VERSO_DIGEST_NONE : hash + 1;
    if (job_count == 0)
        job_count = processors > JOBS_UNASKED_MAX ? JOBS_UNASKED_MAX : processors < 1 ? 1 : (uint64_t)processors;
    copy_request.job_count = (unsigned)job_count;
}

/* ---- Names ---- */

/* Without slashes at its end, but for "/". Caller frees. */
static char *stripped(const char *name)
{
    char *copy = copy_of(name);

    for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/';)
        copy[--length] = '\0';
    return copy;
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash && slash[1] ? slash + 1 : name;
}

/* What @source is called in the target directory; a name that says where and not what ("..", "/") is that directory
 * itself. Caller frees. */
static char *name_in_target(const char *source)
{
    char *whole = stripped(source), *name = copy_of(last_part(whole));

    free(whole);
    if (strcmp(name, "..") != 0 && strcmp(name, "/") != 0)
        return name;
    free(name);
    return copy_of(".");
}

static bool is_directory(const char *name)
{
    struct stat status;

    return stat(name, &status) == 0 && S_ISDIR(status.st_mode);
}

/* "file/" promises a directory, which a file's copy would not be. */
static bool is_contradiction(const char *source, const char *target)
{
    const size_t length = strlen(target);

    return length > 1 && target[length - 1] == '/' && !is_directory(source);
}

/* Writing into a device or a FIFO is one thing, putting a file in its place another; the first has to be asked for, and
 * the second is never meant. */
static bool is_special(const char *target)
{
    struct stat status;

    return stat(target, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !in_place && !delta &&
           !copy_request.recursive;
}

/* ---- The two forms ---- */

static int refuse_target(const char *target, const char *why)
{
    char *shown = name_shown(target);
    int answer = trouble("%s: %s", shown, why);

    free(shown);
    return answer;
}

static struct copy_directory *begin(const char *directory)
{
    struct copy_directory *top = copy_directory_top(directory);
    size_t queue;

    if (!top)
        return NULL;
    queue = copy_directory_levels() < QUEUE_MAX ? copy_directory_levels() : QUEUE_MAX;
    copy_jobs_start(copy_request.job_count, queue);
    return top;
}

static int end(struct copy_directory *top)
{
    if (top) {
        copy_jobs_end();
        copy_directory_release(top);
    }
    copy_progress_end();
    copy_links_clear();
    return copy_report_end();
}

/* One source to one name. */
static int copy_to_name(const char *source, const char *target)
{
    char *whole, *directory;
    const char *name;
    struct copy_directory *top;

    if (is_contradiction(source, target))
        return refuse_target(target, "is no directory, and a file is not copied to such a name");
    if (is_special(target))
        return refuse_target(target, "is a device or a FIFO; --in-place writes into it");
    whole = stripped(target);
    name = last_part(whole);
    directory = name == whole ? NULL : copy_of(whole);
    if (directory)
        directory[name - whole] = '\0';
    top = begin(directory);
    if (top)
        copy_tree(top, source, name);
    free(directory);
    free(whole);
    return end(top);
}

/* A source on its way into a directory. */
struct arrival {
    const char *source;
    char *name;
    size_t index;
    bool is_directory; /* that will be gone into */
    bool is_repeated;
};

static int by_name(const void *a, const void *b)
{
    const struct arrival *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order ? order : (left->index > right->index) - (left->index < right->index);
}

static int by_index(const void *a, const void *b)
{
    const struct arrival *left = a, *right = b;

    return (left->index > right->index) - (left->index < right->index);
}

/* Of several sources with one name, directories become one; anything else would overwrite what was just made. */
static void find_repeated(struct arrival *arrivals, size_t count)
{
    qsort(arrivals, count, sizeof(*arrivals), by_name);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(arrivals[i].name, arrivals[i - 1].name) != 0)
            continue;
        arrivals[i].is_repeated = !arrivals[i].is_directory || !arrivals[i - 1].is_directory;
        copy_request.merging = true;
    }
    qsort(arrivals, count, sizeof(*arrivals), by_index);
}

static struct arrival *arrivals_of(char *const *sources, size_t count)
{
    struct arrival *arrivals = allocate(NULL, count, sizeof(*arrivals));
    struct stat status;

    for (size_t i = 0; i < count; i++)
        arrivals[i] = (struct arrival){
            .source = sources[i],
            .name = name_in_target(sources[i]),
            .index = i,
            .is_directory = copy_request.recursive && lstat(sources[i], &status) == 0 && S_ISDIR(status.st_mode),
        };
    find_repeated(arrivals, count);
    return arrivals;
}

static void arrive(struct copy_directory *top, const struct arrival *arrival)
{
    if (arrival->is_repeated) {
        char *shown = name_shown(arrival->source);

        trouble("%s: left out, for another source has the same name", shown);
        free(shown);
        copy_count(troubles);
        return;
    }
    if (copy_request.merging) /* what an earlier source became has to be there, to be seen */
        copy_jobs_drain();
    copy_tree(top, arrival->source, arrival->name);
}

static int copy_into(char *const *sources, size_t count, const char *directory)
{
    struct arrival *arrivals = arrivals_of(sources, count);
    struct copy_directory *top = begin(directory);

    for (size_t i = 0; i < count; i++) {
        if (top && !interrupted())
            arrive(top, &arrivals[i]);
        free(arrivals[i].name);
    }
    free(arrivals);
    return end(top);
}

static int run(int count, char **arguments)
{
    struct text_list names;
    int answer = check_options(count);
    const char *last;

    if (answer >= 0)
        return answer;
    set_request();
    names.count = (size_t)count - (target_directory ? 0 : 1);
    names.texts = (const char **)arguments;
    last = target_directory ? target_directory : arguments[count - 1];
    if (verso_guard_install() < 0)
        return trouble_error();
    copy_report_start();
    copy_progress_start(&names);
    if (target_directory || (is_directory(last) && !no_directory))
        answer = copy_into(arguments, names.count, last);
    else if (names.count > 1)
        answer = refuse_target(last, "is no directory, and several sources cannot have one name");
    else
        answer = copy_to_name(arguments[0], last);
    verso_guard_remove();
    return answer;
}

const struct command command_copy = {
    .name = "copy",
    .summary = "copy files and trees by the fastest way; never half; say how",
    .arguments = "SOURCE... TARGET",
    .example = "  $ verso copy big.img /mnt/backup/\n"
               "  $ verso copy --archive --jobs=4 project /mnt/backup/\n"
               "  $ verso copy --resume --verify --hash disk.img /mnt/usb/ >disk.img.xxh\n",
    .details =
        "A copy takes its name when it is whole, so nobody meets half of it, and what was there is there until then.\n"
        "--in-place and --delta write into what is there.\n"
        "\n"
        "Blocks are shared (reflink) where the file system can, else the kernel copies, else this process; holes stay\n"
        "holes. The account at the end says how many bytes went which way; --explain says it, and why, of each file.\n"
        "\n"
        "In trees, links are copied as links, and nothing is followed. What cannot be read is told, and the rest "
        "done.\n"
        "\n"
        "Exit codes: 0 all is there as it was asked for; 1 all is there, but something was left as it was, or could\n"
        "not be kept, or changed meanwhile; 2 something is not copied.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
