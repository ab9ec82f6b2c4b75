/* SPDX-License-Identifier: MIT */
/* code - making new instructions seen, and what tells a child from its parent. */
#include "support.h"

#include "os/os.h"

#include <unistd.h>

static void test_barrier_after_it_was_announced(void **state)
{
    int r = verso__os_code_barrier();

    (void)state;
    if (r == 0) /* announced before we came: it can't be taken back */
        print_message("# the barrier had been announced\n");
    else if (r != -EPERM)
        skip_because("this kernel or CPU has no barrier for code");
    assert_int_equal(verso__os_code_barrier_announce(), 0);
    assert_int_equal(verso__os_code_barrier_announce(), 0);
    assert_int_equal(verso__os_code_barrier(), 0);
}

/* What it does can't be seen where caches of code are coherent; that it touches nothing else can. */
static void test_flush_changes_nothing(void **state)
{
    unsigned char memory[256];

    (void)state;
    memset(memory, 7, sizeof(memory));
    verso__os_code_flush(memory, sizeof(memory));
    verso__os_code_flush(memory + 1, 3);
    verso__os_code_flush(memory, 0);
    for (size_t i = 0; i < sizeof(memory); i++)
        assert_int_equal(memory[i], 7);
}

struct family {
    unsigned char *mark;
    pid_t parent;
};

static int look_as_child(void *arg)
{
    const struct family *family = arg;

    if (verso__os_process_id() == family->parent || verso__os_process_id() != getpid())
        return 1;
    return verso__os_thread_id() == verso__os_process_id() && *family->mark == 0 ? 0 : 2;
}

static void test_child_knows_that_it_is_one(void **state)
{
    const size_t page = verso__os_page_bytes();
    struct family family = { NULL, verso__os_process_id() };
    void *memory;

    (void)state;
    assert_int_equal(verso__os_map(NULL, page, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE, 0, -1, 0, &memory), 0);
    family.mark = memory;
    *family.mark = 1;
    assert_int_equal(verso__os_advise(memory, page, VERSO__OS_ADVICE_WIPE_ON_FORK), 0);
    assert_int_equal(support_child(look_as_child, &family), 0);
    assert_int_equal(*family.mark, 1);
    assert_int_equal(verso__os_unmap(memory, page), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_barrier_after_it_was_announced),
        cmocka_unit_test(test_flush_changes_nothing),
        cmocka_unit_test(test_child_knows_that_it_is_one),
    };

    return run_test_list(list);
}
