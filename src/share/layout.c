/* SPDX-License-Identifier: MIT */
/* layout - what lies where in a region, planned when it is made and checked when it is met. */
#include "share/region.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>
#include <verso/digest.h>

#define MEMBERS_DEFAULT 64
#define SEATS_DEFAULT 256
#define PLACES_MAX 65535 /* members or seats; their lock bytes have room for more */
#define FILE_BYTES_MAX (UINT64_C(1) << 61)
#define CONSTANT_FROM offsetof(struct verso__share_header, file_bytes)
#define CONSTANT_TO offsetof(struct verso__share_header, bytes)

uint64_t verso__share_checksum(const struct verso__share_header *made)
{
    struct verso_digest_value value;
    uint64_t sum = 0;

    if (verso_digest_of(VERSO_DIGEST_XXH3_64, (const char *)made + CONSTANT_FROM, CONSTANT_TO - CONSTANT_FROM, &value) <
        0)
        return 0;
    for (unsigned i = 0; i < value.bytes; i++)
        sum = sum << 8 | value.value[i];
    return sum;
}

/* Everything follows from these few numbers; so it can be checked by doing it again. False: too large. @granule: what
 * the content begins at a multiple of. */
static bool lay_out(struct verso__share_header *made, uint64_t granule)
{
    uint64_t page = made->page_bytes, members, content, most;

    if (!verso__round_up(made->member_count * sizeof(struct verso__share_place), page, &members) ||
        !verso__round_up(made->most_bytes, page, &most))
        return false;
    made->members_offset = page;
    made->seats_offset = page + members;
    return verso__round_up(made->seats_offset + made->seat_count * page, granule, &content) &&
           (made->content_offset = content, verso__add_u64(content, most, &made->file_bytes)) &&
           made->file_bytes <= FILE_BYTES_MAX && made->file_bytes < verso__os_address_space_bytes() / 2;
}

int verso__share_plan(uint64_t bytes, const struct verso_share_options *options, struct verso__share_header *out_made)
{
    struct verso__share_header made = {
        .magic = VERSO__SHARE_MAGIC,
        .order = VERSO__SHARE_ORDER,
        .format = VERSO__SHARE_FORMAT,
        .most_bytes = options->most_bytes ? options->most_bytes : bytes,
        .page_bytes = (uint32_t)verso__os_page_bytes(),
        .member_count = options->member_count ? options->member_count : MEMBERS_DEFAULT,
        .seat_count = options->seat_count ? options->seat_count : SEATS_DEFAULT,
        .flags = options->flags & (VERSO_SHARE_HUGE | VERSO_SHARE_KEEP | VERSO_SHARE_ONE_WRITER),
        .version = options->version,
        .layout = options->layout,
        .creator = (uint32_t)verso__os_process_id(),
        .created_ns = verso__os_date_ns(),
    };
    uint64_t huge = verso__os_huge_page_bytes();

    if (made.member_count > PLACES_MAX || made.seat_count > PLACES_MAX)
        return VERSO_E_OPTIONS;
    if (bytes == 0 || bytes > made.most_bytes)
        return VERSO_E_RANGE;
    if (options->kind) {
        if (strlen(options->kind) >= sizeof(made.kind))
            return VERSO_E_OPTIONS;
        memcpy(made.kind, options->kind, strlen(options->kind));
    }
    if (!lay_out(&made, options->flags & VERSO_SHARE_HUGE && huge ? huge : made.page_bytes))
        return VERSO_E_OVERFLOW;
    made.bytes = bytes;
    made.checksum = verso__share_checksum(&made);
    *out_made = made;
    return 0;
}

static int refuse(struct verso__share_trouble *trouble, int code, const char *hint)
{
    trouble->hint = hint;
    return code;
}

/* Huge pages may be of another size where it was made (or not be told of here): any power of two will do. */
static bool is_laid_out(const struct verso__share_header *made)
{
    struct verso__share_header same = *made;
    uint64_t granule = made->page_bytes, offset = made->content_offset;

    if (made->flags & VERSO_SHARE_HUGE)
        granule = offset & -offset;
    return granule >= made->page_bytes && lay_out(&same, granule) && memcmp(&same, made, CONSTANT_TO) == 0;
}

/* What it is at all, before anything else in it means something. */
static int check_machine(const struct verso__share_header *made, struct verso__share_trouble *trouble)
{
    if (made->magic == __builtin_bswap64(VERSO__SHARE_MAGIC) || made->order == __builtin_bswap32(VERSO__SHARE_ORDER))
        return refuse(trouble, VERSO_E_MACHINE, "it was made on a machine of the other byte order");
    if (made->magic != VERSO__SHARE_MAGIC || made->order != VERSO__SHARE_ORDER)
        return refuse(trouble, VERSO_E_FORMAT, "it does not begin as a region does");
    if (made->format != VERSO__SHARE_FORMAT)
        return refuse(trouble, VERSO_E_MACHINE, "it was made by another version of this library");
    return 0;
}

int verso__share_check(const struct verso__share_header *made, uint64_t file_bytes,
                       struct verso__share_trouble *trouble)
{
    int r = check_machine(made, trouble);

    trouble->step = "header";
    if (r < 0)
        return r;
    if (made->checksum != verso__share_checksum(made))
        return refuse(trouble, VERSO_E_FORMAT, "its header is damaged: the checksum is another");
    if (made->page_bytes != verso__os_page_bytes())
        return refuse(trouble, VERSO_E_MACHINE, "it was made on a machine with pages of another size");
    if (file_bytes < made->file_bytes)
        return refuse(trouble, VERSO_E_FORMAT, "the file has been cut: it is shorter than its header says");
    if (made->member_count == 0 || made->member_count > PLACES_MAX || made->seat_count == 0 ||
        made->seat_count > PLACES_MAX || !is_laid_out(made) || made->kind[sizeof(made->kind) - 1] != '\0' ||
        file_bytes != made->file_bytes)
        return refuse(trouble, VERSO_E_FORMAT, "its header contradicts itself");
    return 0;
}

int verso__share_check_kind(const struct verso__share_header *made, const struct verso_share_options *options,
                            struct verso__share_trouble *trouble)
{
    trouble->step = "kind";
    if (options->kind && strcmp(options->kind, made->kind) != 0)
        return refuse(trouble, VERSO_E_KIND, "its content is of another kind: see `verso share list`");
    if (options->version && options->version != made->version)
        return refuse(trouble, VERSO_E_KIND, "its content has another version: see `verso share list`");
    if (options->layout && options->layout != made->layout)
        return refuse(trouble, VERSO_E_KIND, "its content is laid out in another way: were both compiled alike?");
    return 0;
}

uint32_t verso__share_seats_made(const struct verso_share *share)
{
    uint32_t made = atomic_load_explicit(&verso__share_header(share)->seats_made, memory_order_acquire);

    return made < share->made.seat_count ? made : share->made.seat_count;
}
