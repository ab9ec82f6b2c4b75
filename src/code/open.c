/* SPDX-License-Identifier: MIT */
/* open - a pool: what was asked for, what the system allows, and the end of it. */
#include "code/code.h"

#include "base/fail.h"
#include "base/options.h"
#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if UINTPTR_MAX > UINT32_MAX
#define SEGMENT_BYTES_DEFAULT ((uint64_t)16 << 20)
#else
#define SEGMENT_BYTES_DEFAULT ((uint64_t)1 << 20)
#endif

/* How far a direct call goes, both ways. */
#if defined(__x86_64__)
#define REACH_BYTES_DEFAULT ((uint64_t)2 << 30)
#elif defined(__aarch64__)
#define REACH_BYTES_DEFAULT ((uint64_t)128 << 20)
#else
#define REACH_BYTES_DEFAULT ((uint64_t)32 << 20)
#endif

#define GRANULE_BYTES 64
#define LOWEST_ADDRESS ((uint64_t)1 << 20) /* below, the kernel may not let anybody map (vm.mmap_min_addr) */
#define NAME_BYTES_MAX 200                 /* memfd_create() takes 249 */

/* ---- Failing ---- */

static bool is_forbidden(int error)
{
    return error == -EACCES || error == -EPERM;
}

/* Whether an error says that the system does not have, or not allow, a way; and not that something has run out. */
static bool is_refusal(int error)
{
    return is_forbidden(error) || error == -ENOSYS || error == -EINVAL || error == -EOPNOTSUPP || error == -ENODEV;
}

static int fail_beneath(int error, int cause, const char *step, const char *name)
{
    const struct verso__failure failure = { error, cause, step, name, VERSO_OFFSET_NONE, NULL };

    return verso__fail_with(&failure);
}

int verso__code_fail(const struct verso_code *code, int error, const char *step)
{
    if (is_forbidden(error) && (strcmp(step, "mmap") == 0 || strcmp(step, "mprotect") == 0))
        return fail_beneath(VERSO_E_EXEC, error, step, code->name);
    return verso__fail(error, step, code->name);
}

int verso__code_check_owner(const struct verso_code *code, const char *step)
{
    if (*code->mark)
        return 0;
    return verso__fail_hint(-EPERM, step, code->name,
                            "a child of fork() runs the code it finds and can't change it; open a pool of its own");
}

/* ---- Options ---- */

static int read_sizes(const struct verso_code_options *options, struct verso_code *code)
{
    uint64_t page_bytes = verso__os_page_bytes(), bytes = options->segment_bytes, most = options->total_bytes_max;

    if (bytes == 0)
        bytes = most > 0 ? verso__min_u64(SEGMENT_BYTES_DEFAULT, verso__round_down(most, page_bytes))
                         : SEGMENT_BYTES_DEFAULT;
    if (!verso__round_up(bytes, page_bytes, &bytes) || bytes > SIZE_MAX / 2)
        return VERSO_E_OVERFLOW;
    if (bytes == 0 || (most > 0 && bytes > most))
        return VERSO_E_OPTIONS;
    code->segment_bytes = (size_t)bytes;
    code->total_bytes_max = most;
    return 0;
}

/* Where segments may lie: from each of their bytes to each byte of the given code, the call must reach. */
static int read_window(const struct verso_code_options *options, struct verso_code *code)
{
    uint64_t start = (uintptr_t)options->near_start, end, page_bytes = verso__os_page_bytes();
    uint64_t reach = options->reach_bytes ? options->reach_bytes : REACH_BYTES_DEFAULT, low = LOWEST_ADDRESS, high;

    if (start == 0)
        return options->near_bytes || options->reach_bytes ? VERSO_E_OPTIONS : 0;
    if (!verso__add_u64(start, options->near_bytes, &end))
        return VERSO_E_OVERFLOW;
    if (reach <= 2 * page_bytes)
        return VERSO_E_OPTIONS;
    reach -= page_bytes; /* a call counts from its own end, and instructions have a length */
    if (end > reach)
        low = verso__max_u64(low, end - reach);
    if (!verso__add_u64(start, reach, &high))
        high = UINT64_MAX;
    high = verso__min_u64(high, verso__os_address_space_bytes() - page_bytes);
    low = verso__round_down(low + page_bytes - 1, page_bytes);
    high = verso__round_down(high, page_bytes);
    if (low >= high || high - low < code->segment_bytes + page_bytes)
        return VERSO_E_OPTIONS;
    code->near = (uintptr_t)start;
    code->window_start = (uintptr_t)low;
    code->window_end = (uintptr_t)high;
    return 0;
}

static int read_options(const struct verso_code_options *given, struct verso_code_options *out_options,
                        struct verso_code *code)
{
    const struct verso_code_options defaults = VERSO_CODE_OPTIONS_INIT;
    int r;

    *out_options = defaults;
    if (given && !verso__options_take(given, out_options, sizeof(*out_options), sizeof(*out_options)))
        return VERSO_E_OPTIONS;
    if ((out_options->flags & ~(unsigned)VERSO_CODE_SEAL) || out_options->mode > VERSO_CODE_TOGGLE)
        return VERSO_E_OPTIONS;
    if ((out_options->flags & VERSO_CODE_SEAL) && out_options->mode == VERSO_CODE_TOGGLE)
        return VERSO_E_OPTIONS;
    if (!out_options->name)
        out_options->name = "verso-code";
    if (strlen(out_options->name) > NAME_BYTES_MAX)
        return VERSO_E_OPTIONS;
    code->seal = out_options->flags & VERSO_CODE_SEAL;
    r = read_sizes(out_options, code);
    return r < 0 ? r : read_window(out_options, code);
}

/* ---- Opening ---- */

/* The first segment, and some of it ready: whatever the system forbids shows here. */
static int try_mode(struct verso_code *code, enum verso_code_mode mode, const char **out_step)
{
    int r;

    code->mode = mode;
    code->granule_bytes = mode == VERSO_CODE_DUAL ? GRANULE_BYTES : verso__os_page_bytes();
    r = verso__code_segment_make(code, code->segment_bytes, out_step);
    if (r < 0)
        return r;
    r = verso__code_segment_ready(code, code->first, 1, out_step);
    if (r < 0)
        verso__code_segment_release(code, code->first);
    return r;
}

static const char *why_not_dual(const char *step)
{
    if (strcmp(step, "memfd_create") == 0)
        return "files of memory can't be made here";
    if (strcmp(step, "seal") == 0)
        return "files of memory can't be sealed here";
    if (strcmp(step, "madvise") == 0)
        return "a view can't be kept from children here";
    return "files of memory can't be mapped executable here";
}

static int choose_mode(struct verso_code *code, enum verso_code_mode wanted)
{
    bool dual_only = wanted == VERSO_CODE_DUAL || code->seal;
    const char *step = "";
    int r;

    code->mode_why = "";
    if (wanted != VERSO_CODE_TOGGLE) {
        r = try_mode(code, VERSO_CODE_DUAL, &step);
        if (r == 0)
            return 0;
        if (dual_only && is_refusal(r) && !(is_forbidden(r) && strcmp(step, "mmap") == 0))
            return fail_beneath(VERSO_E_UNSUPPORTED, r, step, code->name);
        if (dual_only || !is_refusal(r))
            return verso__code_fail(code, r, step);
        code->mode_why = why_not_dual(step);
    }
    r = try_mode(code, VERSO_CODE_TOGGLE, &step);
    return r < 0 ? verso__code_fail(code, r, step) : 0;
}

/* The page that tells a child from the process that opened the pool. */
static int make_mark(struct verso_code *code)
{
    void *page;
    int r =
        verso__os_map(NULL, verso__os_page_bytes(), VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE, 0, -1, 0, &page);

    if (r < 0)
        return verso__fail(r, "mmap", code->name);
    code->mark = page;
    r = verso__os_advise(page, verso__os_page_bytes(), VERSO__OS_ADVICE_WIPE_ON_FORK);
    if (r < 0)
        return verso__fail(r, "madvise", code->name);
    *code->mark = 1;
    return 0;
}

/* The dump comes last: when anything else fails, there is no file to take away again. */
static int build(struct verso_code *code, const struct verso_code_options *options)
{
    const char *step;
    int r = make_mark(code);

    if (r == 0)
        r = choose_mode(code, (enum verso_code_mode)options->mode);
    if (r < 0)
        return r;
    code->sync_why = verso__os_code_barrier_announce() < 0 ? "this kernel or CPU has no barrier for code" : "";
    if (options->dump_directory)
        r = verso__code_dump_open(options->dump_directory, &code->dump, &step);
    return r < 0 ? verso__fail(r, step, options->dump_directory) : 0;
}

int verso_code_open(const struct verso_code_options *given, struct verso_code **out_code)
{
    struct verso_code_options options;
    struct verso_code *code;
    int r;

    if (!out_code)
        return verso__fail(-EINVAL, "arguments", NULL);
    code = calloc(1, sizeof(*code));
    if (!code)
        return verso__fail(-ENOMEM, "malloc", NULL);
    (void)pthread_mutex_init(&code->lock, NULL); /* can't fail for the default kind */
    r = read_options(given, &options, code);
    if (r < 0) {
        (void)verso__fail(r, "options", NULL);
    } else {
        code->name = strdup(options.name);
        r = code->name ? build(code, &options) : verso__fail(-ENOMEM, "malloc", NULL);
    }
    if (r < 0) {
        verso_code_close(code);
        return r;
    }
    *out_code = code;
    return 0;
}

void verso_code_close(struct verso_code *code)
{
    if (!code)
        return;
    /* Held, though nobody may use the pool: by a thread that this child of fork() does not have, in the middle of a
     * change that nobody will end. Then what is here is left where it is. */
    if (pthread_mutex_trylock(&code->lock) != 0)
        return;
    (void)pthread_mutex_unlock(&code->lock);
    while (code->segment_count > 0)
        verso__code_segment_release(code, code->segments[code->segment_count - 1]);
    verso__code_dump_close(code->dump);
    (void)pthread_mutex_destroy(&code->lock);
    if (code->mark)
        (void)verso__os_unmap((void *)(uintptr_t)code->mark, verso__os_page_bytes());
    free(code->segments);
    free(code->name);
    free(code);
}

/* ---- Telling ---- */

int verso_code_info(struct verso_code *code, struct verso_code_info *out_info)
{
    struct verso_code_info info = VERSO_CODE_INFO_INIT;
    int r;

    if (!code || !out_info)
        return verso__fail(-EINVAL, "arguments", NULL);
    info.struct_bytes = out_info->struct_bytes;
    if (info.struct_bytes < sizeof(info))
        return verso__fail(VERSO_E_OPTIONS, "info", code->name);
    r = verso__code_check_owner(code, "info");
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&code->lock);
    info.mode = code->mode;
    info.mode_why = code->mode_why;
    info.sync_why = code->sync_why;
    info.granule_bytes = code->granule_bytes;
    info.segments = code->segment_count;
    info.reserved_bytes = code->reserved_bytes;
    info.waiting_bytes = code->waiting_bytes;
    info.blocks = code->blocks;
    info.barriers = code->barriers;
    for (size_t i = 0; i < code->segment_count; i++) {
        info.ready_bytes += code->segments[i]->ready_bytes;
        info.used_bytes += code->segments[i]->used * code->granule_bytes;
    }
    (void)pthread_mutex_unlock(&code->lock);
    memcpy(out_info, &info, sizeof(info));
    return 0;
}
