/* SPDX-License-Identifier: MIT */
/* failing - memory that is not to be had is an error of next(), not a surprise for who touches the stretch. */
#include "support.h"

#include "os/fake/fake.h"

#include <verso/window.h>

static void test_next_tells_why_a_stretch_cannot_be_brought_in(void **state)
{
    const struct {
        int error, told;
    } cases[] = { { -EFAULT, VERSO_E_TORN }, { -ENOMEM, -ENOMEM }, { -EINVAL, 0 } }; /* EINVAL: before 5.14 */
    struct verso_window *window;
    size_t bytes;
    void *data;

    (void)state;
    assert_ok(verso_window_open(support_file("file", 100), NULL, &window));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes = 77;
        data = &bytes;
        fake_fail_call("populate", cases[i].error, 1);
        if (cases[i].told < 0) {
            assert_fails_in(verso_window_next(window, &data, &bytes), cases[i].told, "populate");
            assert_ptr_equal(data, &bytes);
            assert_int_equal(bytes, 77);
        } else {
            assert_ok(verso_window_next(window, &data, &bytes));
            assert_int_equal(bytes, 100); /* nothing was passed by the failures */
            assert_true(support_matches(data, 0, 100));
        }
        fake_reset();
    }
    verso_window_close(window);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_next_tells_why_a_stretch_cannot_be_brought_in),
    };

    return run_test_list(list);
}
