/* SPDX-License-Identifier: MIT */
/* describe - each kind of place, by address; nothing is touched. */
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"
#include <verso/pages.h>

static size_t page;

static struct verso_pages_description described(const void *address, enum verso_pages_try attempt)
{
    struct verso_pages_description description = VERSO_PAGES_DESCRIPTION_INIT;

    assert_int_equal(verso_pages_describe(address, attempt, &description), 0);
    return description;
}

static void assert_says(const struct verso_pages_description *description, const char *words)
{
    if (!strstr(description->text, words))
        fail_msg("\"%s\" does not say \"%s\"", description->text, words);
}

static struct verso_pages *opened(uint64_t bytes, unsigned flags)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;

    options.flags = flags;
    options.name = "larder";
    assert_ok(verso_pages_open(bytes, &options, &pages));
    return pages;
}

static void test_null_and_its_members(void **state)
{
    struct verso_pages_description description = described(NULL, VERSO_PAGES_TRY_READ);

    (void)state;
    assert_int_equal(description.place, VERSO_PAGES_PLACE_NULL);
    assert_true(description.would_fault);
    assert_says(&description, "0x0 is NULL");
    description = described((void *)(uintptr_t)24, VERSO_PAGES_TRY_WRITE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_NULL);
    assert_says(&description, "an offset of 24");
}

static void test_what_no_pointer_can_be(void **state)
{
    struct verso_pages_description description;

    (void)state;
    if (sizeof(void *) < 8)
        skip_because("addresses of 32 bits are all there are");
    description = described((void *)(uintptr_t)0xdeadbeefdeadbeef, VERSO_PAGES_TRY_READ);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_NONCANONICAL);
    assert_true(description.would_fault);
    description = described((void *)UINTPTR_MAX, VERSO_PAGES_TRY_READ);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_NOTHING);
    assert_says(&description, "belongs to the kernel");
}

static void test_a_span_page_by_page(void **state)
{
    struct verso_pages *pages = opened(8 * page, VERSO_PAGES_GUARD_ENDS);
    unsigned char *data = verso_pages_data(pages);
    struct verso_pages_description description;

    (void)state;
    assert_ok(verso_pages_commit(pages, 0, 4 * page));
    assert_ok(verso_pages_guard(pages, page, page));
    data[0] = 1;

    description = described(data + 5, VERSO_PAGES_TRY_WRITE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_COMMITTED);
    assert_int_equal(description.present, 1);
    assert_false(description.would_fault);
    assert_int_equal(description.access, VERSO_PAGES_MAY_READ | VERSO_PAGES_MAY_WRITE);
    assert_int_equal(description.span_start, (uintptr_t)data);
    assert_int_equal(description.span_end, (uintptr_t)(data + 8 * page));
    assert_true(description.mapping_start <= (uintptr_t)data && (uintptr_t)data < description.mapping_end);
    assert_says(&description, "is memory of \"larder\"");
    assert_says(&description, "at offset 5");

    description = described(data + 3 * page, VERSO_PAGES_TRY_NONE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_COMMITTED);
    assert_int_equal(description.present, 0);

    description = described(data + page + 7, VERSO_PAGES_TRY_READ);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_GUARD);
    assert_true(description.would_fault);
    assert_says(&description, "is a guard page in \"larder\"");

    description = described(data + 4 * page, VERSO_PAGES_TRY_WRITE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_RESERVED);
    assert_true(description.would_fault);
    assert_says(&description, "is not committed in \"larder\"");

    description = described(data + 8 * page, VERSO_PAGES_TRY_WRITE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_GUARD);
    assert_says(&description, "is the guard page behind \"larder\"");
    assert_says(&description, "writing there runs over the end");
    description = described(data - 1, VERSO_PAGES_TRY_WRITE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_GUARD);
    assert_says(&description, "is the guard page in front of \"larder\"");
    verso_pages_close(pages);

    description = described(data, VERSO_PAGES_TRY_READ);
    assert_int_equal(description.span_start, 0); /* nobody's, or another's by now */
}

static void test_protected_pages(void **state)
{
    struct verso_pages *pages = opened(4 * page, VERSO_PAGES_COMMIT);
    unsigned char *data = verso_pages_data(pages);
    struct verso_pages_description description;

    (void)state;
    assert_ok(verso_pages_protect(pages, page, page, VERSO_PAGES_ACCESS_READ));
    description = described(data + page, VERSO_PAGES_TRY_READ);
    assert_false(description.would_fault);
    description = described(data + page, VERSO_PAGES_TRY_WRITE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_COMMITTED);
    assert_true(description.would_fault);
    assert_says(&description, "writing there is not allowed");
    verso_pages_close(pages);
}

static void test_mappings_of_others(void **state)
{
    static const char constant[] = "in the file of the program";
    struct verso_pages_description description = described(constant, VERSO_PAGES_TRY_WRITE);
    int local = 0;

    (void)state;
    assert_int_equal(description.place, VERSO_PAGES_PLACE_MAPPING);
    assert_true(description.would_fault);
    assert_true(description.name[0] == '/');
    assert_says(&description, description.name);
    description = described(&local, VERSO_PAGES_TRY_EXECUTE);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_MAPPING);
    assert_true(description.would_fault);
    description = described(&local, VERSO_PAGES_TRY_WRITE);
    assert_false(description.would_fault);
}

static void test_beside_mappings(void **state)
{
    unsigned char *three = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct verso_pages_description description;

    (void)state;
    assert_true((void *)three != MAP_FAILED);
    assert_int_equal(munmap(three + page, page), 0);
    description = described(three + page, VERSO_PAGES_TRY_READ);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_NOTHING);
    assert_int_equal(description.mapping_start, 0);
    assert_int_equal(description.mapping_end, 0);
    assert_int_equal(description.present, -1);
    assert_says(&description, "1 B past the end of");
    assert_says(&description, "before");
    (void)munmap(three, page);
    (void)munmap(three + 2 * page, page);
}

/* The lowest page of another thread's stack, and the guard under it. */
static void *look_below(void *arg)
{
    pthread_attr_t attributes;
    void *lowest;
    size_t bytes;

    (void)pthread_getattr_np(pthread_self(), &attributes);
    (void)pthread_attr_getstack(&attributes, &lowest, &bytes);
    (void)pthread_attr_destroy(&attributes);
    *(void **)arg = lowest;
    return NULL;
}

static void *describe_below(void *arg)
{
    void *lowest;

    (void)look_below(&lowest);
    *(struct verso_pages_description *)arg = described((char *)lowest - 1, VERSO_PAGES_TRY_WRITE);
    return NULL;
}

static void test_under_a_threads_stack(void **state)
{
    struct verso_pages_description description;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, describe_below, &description), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_GUARD);
    assert_true(description.would_fault);
    assert_says(&description, "a guard page in front of");
}

static void test_refusals_leave_the_output_alone(void **state)
{
    struct verso_pages_description description = VERSO_PAGES_DESCRIPTION_INIT;

    (void)state;
    memset(description.text, 'x', sizeof(description.text));
    description.struct_bytes = 0;
    assert_int_equal(verso_pages_describe(&page, VERSO_PAGES_TRY_READ, &description), VERSO_E_OPTIONS);
    description.struct_bytes = sizeof(description);
    assert_int_equal(verso_pages_describe(&page, (enum verso_pages_try)9, &description), VERSO_E_OPTIONS);
    assert_true(description.text[0] == 'x');
}

/* A name as long as a path may be does not fit: its end becomes "...", and the next mapping is read right. */
static void test_long_names(void **state)
{
    char name[250], *path = NULL, *at = NULL;
    struct verso_pages_description description;
    int fd;
    void *map;

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_true(asprintf(&path, "%s/%s", support_directory(), name) > 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(asprintf(&at, "%s/%s", path, name) > 0);
    fd = open(at, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)page) == 0);
    map = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    description = described(map, VERSO_PAGES_TRY_READ);
    assert_int_equal(description.place, VERSO_PAGES_PLACE_MAPPING);
    assert_int_equal(description.mapping_start, (uintptr_t)map);
    assert_int_equal(strlen(description.name), sizeof(description.name) - 1);
    assert_string_equal(description.name + sizeof(description.name) - 4, "...");
    assert_false(description.would_fault);
    description = described(&fd, VERSO_PAGES_TRY_WRITE); /* far behind it in the list */
    assert_int_equal(description.place, VERSO_PAGES_PLACE_MAPPING);
    (void)munmap(map, page);
    (void)close(fd);
    (void)unlink(at);
    (void)rmdir(path);
    free(path);
    free(at);
}

static int set_up(void **state)
{
    page = verso__os_page_bytes();
    return support_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_and_its_members),
        cmocka_unit_test(test_what_no_pointer_can_be),
        cmocka_unit_test(test_a_span_page_by_page),
        cmocka_unit_test(test_protected_pages),
        cmocka_unit_test(test_mappings_of_others),
        cmocka_unit_test(test_beside_mappings),
        cmocka_unit_test(test_under_a_threads_stack),
        cmocka_unit_test(test_refusals_leave_the_output_alone),
        cmocka_unit_test(test_long_names),
    };

    return cmocka_run_group_tests(tests, set_up, support_teardown);
}
