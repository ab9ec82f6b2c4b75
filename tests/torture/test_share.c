/* SPDX-License-Identifier: MIT */
/* share - making, finding, passing on and leaving regions, with every call beneath failing in turn. */
#include "torture.h"

#include "share/share.h"

#include <sys/socket.h>
#include <unistd.h>

/* A region whose last member could not take its name away: as after a kill, whoever comes next does. */
static void clear(void)
{
    assert_int_equal(verso_share_collect(NULL, NULL) < 0 && torture_refusals() == 0, 0);
    (void)unlink(support_path("names/r"));
}

static void use(struct verso_share *share, uint64_t grown_bytes)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;
    const struct verso__share_seat *seat;
    unsigned before = fake_failures();
    int r;

    attempt(verso_share_grow(share, grown_bytes)) assert_true(verso_share_bytes(share) < grown_bytes);
    memset(verso_share_data(share), 'u', grown_bytes);
    attempt(verso_share_info(share, &info)) assert_true(torture_refusals() > 0);
    assert_true(info.bytes == grown_bytes && info.members >= 1);
    r = verso__share_seat_of(verso_share_data(share), &seat);
    if (r < 0 && fake_failures() > before)
        r = verso__share_seat_of(verso_share_data(share), &seat);
    assert_true(r == 0 || torture_refusals() > 1);
}

/* Small: each place costs a question to the kernel, and each question many runs. */
static struct verso_share_options small(void)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;

    options.member_count = 2;
    options.seat_count = 2;
    return options;
}

static void by_name(void)
{
    struct verso_share_options options = small();
    struct verso_share *share = UNTOUCHED, *other = UNTOUCHED;

    options.most_bytes = 50000;
    options.mode = 0600;
    attempt(verso_share_create("r", 5000, &options, &share)) assert_ptr_equal(share, UNTOUCHED);
    attempt(verso_share_attach("r", NULL, &other)) assert_ptr_equal(other, UNTOUCHED);
    use(share, 20000);
    verso_share_close(share);
    verso_share_close(other);
    clear();
}

static void by_open(void)
{
    struct verso_share_options options = small();
    struct verso_share *share = UNTOUCHED, *other = UNTOUCHED;

    attempt(verso_share_open("r", 5000, &options, &share)) assert_ptr_equal(share, UNTOUCHED);
    attempt(verso_share_open("r", 5000, &options, &other)) assert_ptr_equal(other, UNTOUCHED);
    attempt(verso_share_remove("r")) assert_true(torture_refusals() > 0);
    verso_share_close(share);
    verso_share_close(other);
    clear();
}

static void by_descriptor(void)
{
    struct verso_share_options options = small();
    struct verso_share *share = UNTOUCHED, *other = UNTOUCHED;

    options.flags = VERSO_SHARE_NO_CORE;
    options.most_bytes = 20000;
    attempt(verso_share_create_anonymous(5000, &options, &share)) assert_ptr_equal(share, UNTOUCHED);
    options = (struct verso_share_options)VERSO_SHARE_OPTIONS_INIT;
    options.flags = VERSO_SHARE_READ_ONLY;
    attempt(verso_share_attach_descriptor(verso_share_descriptor(share), &options, &other))
        assert_ptr_equal(other, UNTOUCHED);
    use(share, 20000);
    verso_share_close(other);
    verso_share_close(share);
}

static int ends[2];

static void through_a_socket(void)
{
    struct verso_share_options options = small();
    struct verso_share *share = UNTOUCHED, *other = UNTOUCHED;

    attempt(verso_share_create_anonymous(5000, &options, &share)) assert_ptr_equal(share, UNTOUCHED);
    attempt(verso_share_send(share, ends[0])) assert_true(torture_refusals() > 0);
    attempt(verso_share_send(share, ends[0])) assert_true(torture_refusals() > 0); /* for who tries again */
    attempt(verso_share_receive(ends[1], NULL, &other)) assert_ptr_equal(other, UNTOUCHED);
    verso_share_close(other);
    verso_share_close(share);
    while (recv(ends[1], &(char){ 0 }, 1, MSG_DONTWAIT) > 0) /* what was not needed */
        ;
}

static int count(const struct verso_share_entry *entry, void *arg)
{
    *(unsigned *)arg += entry->error == 0;
    return 0;
}

static void look_and_collect(void)
{
    struct verso_share_options options = small();
    struct verso_share *share = UNTOUCHED;
    unsigned seen = 0;

    attempt(verso_share_create("r", 5000, &options, &share)) assert_ptr_equal(share, UNTOUCHED);
    attempt(verso_share_list(count, &seen)) seen = 0;
    assert_true(seen == 1 || torture_refusals() > 0);
    attempt(verso_share_look("r", count, &seen)) assert_true(torture_refusals() > 0);
    attempt(verso_share_collect(NULL, NULL)) assert_true(torture_refusals() > 0);
    verso_share_close(share);
    clear();
}

static void names_here(void)
{
    assert_int_equal(setenv("VERSO_SHARE_DIRECTORY", support_path("names"), 1), 0);
}

static void test_by_name(void **state)
{
    (void)state;
    names_here();
    torture(by_name);
}

static void test_by_open(void **state)
{
    (void)state;
    names_here();
    torture(by_open);
}

static void test_by_descriptor(void **state)
{
    (void)state;
    torture(by_descriptor);
}

static void test_through_a_socket(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    torture(through_a_socket);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

static void test_look_and_collect(void **state)
{
    (void)state;
    names_here();
    torture(look_and_collect);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_by_name),          torture_test(test_by_open),          torture_test(test_by_descriptor),
        torture_test(test_through_a_socket), torture_test(test_look_and_collect),
    };

    return run_test_list(list);
}
