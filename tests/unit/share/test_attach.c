/* SPDX-License-Identifier: MIT */
/* attach - what is refused, each with its own error and hint; descriptors, sockets, seals, readers. */
#include "regions.h"

#include <sys/socket.h>

/* Changes bytes of a region's file, and makes its checksum right again when @mends. */
static void scribble(const char *name, size_t offset, const void *data, size_t bytes, bool mends)
{
    int fd = open(path_of(name), O_RDWR | O_CLOEXEC);
    struct verso__share_header header;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
    memcpy((char *)&header + offset, data, bytes);
    if (mends)
        header.checksum = verso__share_checksum(&header);
    assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(close(fd), 0);
}

#define FIELD(name) offsetof(struct verso__share_header, name)

static void refused(const char *name, int code, const char *hint)
{
    struct verso_share *share = NULL;

    assert_fails(verso_share_attach(name, NULL, &share), code);
    assert_null(share);
    if (!strstr(verso_error_last()->hint, hint))
        fail_msg("the hint is \"%s\", not \"...%s...\"", verso_error_last()->hint, hint);
}

/* Makes a region, changes a field of its header, and sees it refused. */
static void refused_with(size_t offset, const void *data, size_t bytes, bool mends, int code, const char *hint)
{
    struct verso_share *share = made("r", 10000);

    scribble("r", offset, data, bytes, mends);
    refused("r", code, hint);
    verso_share_close(share);
    assert_false(exists("r"));
}

static void test_not_there(void **state)
{
    (void)state;
    names_here();
    assert_int_equal(mkdir(support_path("names"), 0700), 0);
    refused("nobody", -ENOENT, "");
}

static void test_too_short(void **state)
{
    struct verso_share *share = NULL;
    const char *path = support_file("short", 100);

    (void)state;
    refused(path, VERSO_E_FORMAT, "shorter than any region");
    refused(support_file("empty", 0), VERSO_E_FORMAT, "shorter than any region");
    refused(support_file("other", 100000), VERSO_E_FORMAT, "does not begin as a region");
    assert_fails(verso_share_attach(support_directory(), NULL, &share), -EISDIR);
}

static void test_foreign_order(void **state)
{
    uint64_t magic = __builtin_bswap64(VERSO__SHARE_MAGIC);

    (void)state;
    names_here();
    refused_with(FIELD(magic), &magic, sizeof(magic), false, VERSO_E_MACHINE, "other byte order");
}

static void test_other_version(void **state)
{
    uint32_t format = VERSO__SHARE_FORMAT + 1;

    (void)state;
    names_here();
    refused_with(FIELD(format), &format, sizeof(format), true, VERSO_E_MACHINE, "another version");
}

static void test_damaged(void **state)
{
    uint64_t most = 20000;

    (void)state;
    names_here();
    refused_with(FIELD(most_bytes), &most, sizeof(most), false, VERSO_E_FORMAT, "checksum");
}

/* Whoever writes a wrong header may well write a right checksum. */
static void test_contradictions(void **state)
{
    const uint64_t huge = UINT64_MAX - 100, odd = 12345, far = UINT64_C(1) << 40, zero64 = 0;
    const uint32_t zero = 0, many = 1 << 20;
    char unended[VERSO_SHARE_KIND_BYTES];

    (void)state;
    names_here();
    memset(unended, 'k', sizeof(unended));
    refused_with(FIELD(most_bytes), &huge, 8, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(most_bytes), &far, 8, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(content_offset), &odd, 8, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(content_offset), &huge, 8, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(seats_offset), &far, 8, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(members_offset), &zero64, 8, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(member_count), &zero, 4, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(member_count), &many, 4, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(seat_count), &many, 4, true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(kind), unended, sizeof(unended), true, VERSO_E_FORMAT, "contradicts");
    refused_with(FIELD(file_bytes), &far, 8, true, VERSO_E_FORMAT, "cut");
    refused_with(FIELD(file_bytes), &zero64, 8, true, VERSO_E_FORMAT, "contradicts");
}

static void test_other_page_size(void **state)
{
    uint32_t page = (uint32_t)verso_page_bytes() * 2;

    (void)state;
    names_here();
    refused_with(FIELD(page_bytes), &page, sizeof(page), true, VERSO_E_MACHINE, "pages of another size");
}

static void test_cut(void **state)
{
    struct verso_share_options keep = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;

    (void)state;
    names_here();
    keep.flags = VERSO_SHARE_KEEP;
    assert_ok(verso_share_create("cut", 100000, &keep, &share));
    verso_share_close(share);
    assert_int_equal(truncate(path_of("cut"), 2 * (off_t)verso_page_bytes()), 0);
    refused("cut", VERSO_E_FORMAT, "shorter than its header says");
    assert_ok(verso_share_remove("cut"));
}

static void test_link(void **state)
{
    struct verso_share *share = made(support_path("aim"), 10);
    struct verso_share *other;

    (void)state;
    assert_int_equal(symlink(support_path("aim"), support_path("link")), 0);
    assert_fails(verso_share_attach(support_path("link"), NULL, &other), -ELOOP);
    verso_share_close(share);
}

static void test_pipe_does_not_block(void **state)
{
    struct verso_share *share;

    (void)state;
    assert_int_equal(mkfifo(support_path("pipe"), 0600), 0);
    assert_fails(verso_share_attach(support_path("pipe"), NULL, &share), VERSO_E_FORMAT);
}

/* A pipe that nobody writes to: to open it for reading would wait for ever. */
static void test_descriptor_of_no_file(void **state)
{
    struct verso_share_options look = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share = NULL;
    int fd;

    (void)state;
    look.flags = VERSO_SHARE_READ_ONLY;
    assert_int_equal(mkfifo(support_path("fifo"), 0600), 0);
    fd = open(support_path("fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_fails_in(verso_share_attach_descriptor(fd, &look, &share), VERSO_E_FORMAT, "stat");
    assert_null(share);
    assert_int_equal(close(fd), 0);
}

static void test_kind(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT, other;
    struct verso_share *share, *second;

    (void)state;
    names_here();
    options.kind = "book";
    options.version = 3;
    options.layout = VERSO_SHARE_LAYOUT(struct verso_rel, 3);
    assert_ok(verso_share_create("k", 100, &options, &share));
    second = attached("k"); /* who asks for nothing gets anything */
    verso_share_close(second);
    assert_ok(verso_share_attach("k", &options, &second));
    verso_share_close(second);
    other = options;
    other.kind = "boo";
    assert_fails_in(verso_share_attach("k", &other, &second), VERSO_E_KIND, "kind");
    other = options;
    other.version = 4;
    assert_fails(verso_share_attach("k", &other, &second), VERSO_E_KIND);
    other = options;
    other.layout = VERSO_SHARE_LAYOUT(struct verso_error, 3);
    assert_fails(verso_share_attach("k", &other, &second), VERSO_E_KIND);
    /* With a living member, open does not replace it. */
    assert_fails(verso_share_open("k", 100, &other, &second), VERSO_E_KIND);
    verso_share_close(share);
}

static void test_kind_of_31_bytes_at_most(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;

    (void)state;
    options.kind = "0123456789012345678901234567890";
    assert_ok(verso_share_create_anonymous(1, &options, &share));
    verso_share_close(share);
    options.kind = "01234567890123456789012345678901";
    assert_fails(verso_share_create_anonymous(1, &options, &share), VERSO_E_OPTIONS);
}

static void test_owner(void **state)
{
    struct verso_share_options any = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share, *other;

    (void)state;
    if (!support_is_root())
        skip_because("only root can give a file away");
    share = made(support_path("theirs"), 10);
    assert_int_equal(chown(support_path("theirs"), 65534, 65534), 0);
    assert_fails_in(verso_share_attach(support_path("theirs"), NULL, &other), VERSO_E_OWNER, "owner");
    any.flags = VERSO_SHARE_ANY_OWNER;
    assert_ok(verso_share_attach(support_path("theirs"), &any, &other));
    verso_share_close(other);
    verso_share_close(share);
}

static void test_bad_options(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share;

    (void)state;
    assert_fails(verso_share_create_anonymous(0, NULL, &share), VERSO_E_RANGE);
    options.most_bytes = 99;
    assert_fails(verso_share_create_anonymous(100, &options, &share), VERSO_E_RANGE);
    options.most_bytes = UINT64_MAX;
    assert_fails(verso_share_create_anonymous(100, &options, &share), VERSO_E_OVERFLOW);
    options.most_bytes = UINT64_C(1) << 60;
    assert_fails(verso_share_create_anonymous(100, &options, &share), VERSO_E_OVERFLOW);
    assert_fails(verso_share_create_anonymous(UINT64_MAX, NULL, &share), VERSO_E_OVERFLOW);
    options = (struct verso_share_options)VERSO_SHARE_OPTIONS_INIT;
    options.member_count = 65536;
    assert_fails(verso_share_create_anonymous(100, &options, &share), VERSO_E_OPTIONS);
    options = (struct verso_share_options)VERSO_SHARE_OPTIONS_INIT;
    options.seat_count = 65536;
    assert_fails(verso_share_create_anonymous(100, &options, &share), VERSO_E_OPTIONS);
    options = (struct verso_share_options)VERSO_SHARE_OPTIONS_INIT;
    options.flags = 1 << 20;
    assert_fails(verso_share_create_anonymous(100, &options, &share), VERSO_E_OPTIONS);
    options.flags = VERSO_SHARE_READ_ONLY; /* not of creations */
    assert_fails(verso_share_create_anonymous(100, &options, &share), VERSO_E_OPTIONS);
    options.flags = VERSO_SHARE_ONE_WRITER; /* not of names */
    assert_fails(verso_share_create(support_path("x"), 100, &options, &share), VERSO_E_OPTIONS);
    options = (struct verso_share_options)VERSO_SHARE_OPTIONS_INIT;
    options.mode = 01777;
    assert_fails(verso_share_create(support_path("x"), 100, &options, &share), VERSO_E_OPTIONS);
    options = (struct verso_share_options)VERSO_SHARE_OPTIONS_INIT;
    options.struct_bytes = 8;
    assert_fails(verso_share_create(support_path("x"), 100, &options, &share), VERSO_E_OPTIONS);
    assert_fails(verso_share_create_anonymous(100, NULL, NULL), -EINVAL);
    assert_fails(verso_share_attach_descriptor(-1, NULL, &share), -EINVAL);
    verso_share_close(NULL);
}

static void test_more_than_the_machine_has(void **state)
{
    struct verso_share *share;

    (void)state;
    assert_fails_in(verso_share_create_anonymous(UINT64_C(1) << 44, NULL, &share), -ENOMEM, "fallocate");
}

/* ---- Descriptors ---- */

static void test_descriptor(void **state)
{
    struct verso_share *share, *other;
    size_t descriptors = support_descriptor_count(), mappings;

    (void)state;
    mappings = support_mapping_count();
    assert_ok(verso_share_create_anonymous(5000, NULL, &share));
    assert_ok(verso_share_attach_descriptor(verso_share_descriptor(share), NULL, &other));
    put(verso_share_data(share), "hello");
    assert_string_equal(verso_share_data(other), "hello");
    assert_ptr_not_equal(verso_share_data(share), verso_share_data(other));
    assert_int_equal(members_of(share), 2);
    assert_int_equal(members_of(other), 2);
    verso_share_close(share);
    assert_int_equal(members_of(other), 1);
    assert_string_equal(verso_share_data(other), "hello");
    verso_share_close(other);
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_int_equal(support_mapping_count(), mappings);
}

static void test_sealed(void **state)
{
    struct verso_share *share;
    int fd;

    (void)state;
    assert_ok(verso_share_create_anonymous(5000, NULL, &share));
    fd = verso_share_descriptor(share);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    verso_share_close(share);
}

/* A copy of a region in a file of memory that its maker could cut. */
static void test_unsealed(void **state)
{
    struct verso_share *share, *other;
    struct stat status;
    char *content;
    int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)state;
    assert_true(fd >= 0);
    assert_ok(verso_share_create_anonymous(5000, NULL, &share));
    assert_int_equal(fstat(verso_share_descriptor(share), &status), 0);
    content = malloc((size_t)status.st_size);
    assert_int_equal(pread(verso_share_descriptor(share), content, (size_t)status.st_size, 0), status.st_size);
    assert_int_equal(write(fd, content, (size_t)status.st_size), status.st_size);
    free(content);
    assert_fails_in(verso_share_attach_descriptor(fd, NULL, &other), VERSO_E_UNSEALED, "seals");
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_fails_in(verso_share_attach_descriptor(fd, NULL, &other), VERSO_E_UNSEALED, "seals");
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
    assert_ok(verso_share_attach_descriptor(fd, NULL, &other));
    verso_share_close(other);
    verso_share_close(share);
    assert_int_equal(close(fd), 0);
}

static void test_socket(void **state)
{
    struct verso_share *share, *other = NULL;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_ok(verso_share_create_anonymous(5000, NULL, &share));
    assert_ok(verso_share_send(share, ends[0]));
    assert_ok(verso_share_receive(ends[1], NULL, &other));
    put(verso_share_data(share), "through");
    assert_string_equal(verso_share_data(other), "through");
    verso_share_close(other);
    verso_share_close(share);
    assert_int_equal(close(ends[0]), 0);
    assert_fails_in(verso_share_receive(ends[1], NULL, &other), -ECONNRESET, "recvmsg");
    assert_int_equal(close(ends[1]), 0);
}

/* What is not a region, and what is no descriptor at all: taken off, and nothing stays open. */
static void test_socket_with_something_else(void **state)
{
    struct verso_share *share = NULL;
    size_t descriptors;
    int ends[2], fd;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    descriptors = support_descriptor_count();
    assert_int_equal(write(ends[0], "v", 1), 1);
    assert_fails(verso_share_receive(ends[1], NULL, &share), -EPROTO);
    assert_int_equal(verso__os_send_descriptor(ends[0], fd), 0);
    assert_true(verso_share_receive(ends[1], NULL, &share) < 0);
    assert_null(share);
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_int_equal(close(fd) + close(ends[0]) + close(ends[1]), 0);
}

/* ---- Readers ---- */

static void test_reader(void **state)
{
    struct verso_share_options look = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    struct verso_share *share, *reader;
    const struct verso__share_seat *seat;

    (void)state;
    names_here();
    look.flags = VERSO_SHARE_READ_ONLY;
    share = made("read", 100);
    put(verso_share_data(share), "look");
    assert_ok(verso_share_info(share, &info));
    assert_int_equal(info.has_readers, 0);
    assert_ok(verso_share_attach("read", &look, &reader));
    assert_string_equal(verso_share_data(reader), "look");
    assert_ok(verso_share_info(share, &info));
    assert_int_equal(info.has_readers, 1);
    assert_int_equal(info.members, 1);
    assert_fails(verso_share_grow(reader, 100), VERSO_E_READ_ONLY);
    assert_int_equal(verso__share_seat_of(verso_share_data(reader), &seat), VERSO_E_READ_ONLY);
    assert_ok(verso_share_info(reader, &info));
    assert_int_equal(info.members, 1);
    assert_int_equal(info.has_readers, 1);
    verso_share_close(share);
    assert_true(exists("read")); /* a reader is still there */
    verso_share_close(reader);
    assert_ok(verso_share_remove("read"));
}

static int write_there(void *arg)
{
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile char *)arg = 1;
    return 0;
}

static void test_reader_cannot_write(void **state)
{
    struct verso_share_options look = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share, *reader;
    int status;

    (void)state;
    names_here();
    look.flags = VERSO_SHARE_READ_ONLY;
    share = made("read", 100);
    assert_ok(verso_share_attach("read", &look, &reader));
    status = support_child(write_there, verso_share_data(reader));
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : support_is_asan() || support_is_tsan());
    verso_share_close(reader);
    verso_share_close(share);
}

static void test_one_writer(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *share, *other, *reader;
    const struct verso__share_seat *seat;

    (void)state;
    options.flags = VERSO_SHARE_ONE_WRITER;
    options.most_bytes = 100000;
    if (verso_share_create_anonymous(100, &options, &share) == -EINVAL)
        skip_because("no F_SEAL_FUTURE_WRITE on this kernel");
    assert_fails_in(verso_share_attach_descriptor(verso_share_descriptor(share), NULL, &other), -EPERM, "mmap");
    options = (struct verso_share_options)VERSO_SHARE_OPTIONS_INIT;
    options.flags = VERSO_SHARE_READ_ONLY;
    assert_ok(verso_share_attach_descriptor(verso_share_descriptor(share), &options, &reader));
    assert_ok(verso_share_grow(share, 100000));
    memset(verso_share_data(share), 'w', 100000);
    assert_int_equal(verso_share_bytes(reader), 100000);
    assert_int_equal(((char *)verso_share_data(reader))[99999], 'w');
    /* The only writer can sit down, with a life word, although no new writable mapping can be made. */
    assert_int_equal(verso__share_seat_of(verso_share_data(share), &seat), 0);
    assert_int_equal(atomic_load(&verso__share_chair(share, seat->number)->has_life), 1);
    verso_share_close(reader);
    verso_share_close(share);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_too_short),
        cmocka_unit_test(test_foreign_order),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_other_page_size),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_pipe_does_not_block),
        cmocka_unit_test(test_descriptor_of_no_file),
        cmocka_unit_test(test_kind),
        cmocka_unit_test(test_kind_of_31_bytes_at_most),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_more_than_the_machine_has),
        cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_unsealed),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_socket_with_something_else),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_reader_cannot_write),
        cmocka_unit_test(test_one_writer),
    };

    return run_test_list(list);
}
