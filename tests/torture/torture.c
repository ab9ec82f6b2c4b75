/* SPDX-License-Identifier: MIT */
/* torture - see torture.h. */
#include "torture.h"

#include <limits.h>

/* A call that was refused once may lead to a fallback that is refused in turn; more than this is going in circles. */
#define TRIES_MAX 8

static char run_name[160];
static unsigned failed_attempts;

unsigned torture_refusals(void)
{
    return fake_failures();
}

int torture_calm(void **state)
{
    (void)state;
    if (*run_name)
        print_message("# in the run: %s; last refused: %s\n", run_name, fake_failed_call());
    *run_name = '\0';
    fake_reset();
    fake_forgive();
    return 0;
}

bool torture_judge(int code, unsigned *failures_before, unsigned *tries, const char *call, const char *file, int line)
{
    unsigned failures = fake_failures();
    char text[512];

    if (code >= 0)
        return true;
    verso_error_message(text, sizeof(text));
    if (failures == *failures_before || ++*tries > TRIES_MAX) {
        print_error("%s answered %s though nothing was refused; record: %s\n", call, verso_error_name(code), text);
        _fail(file, line);
    }
    if (verso_error_last()->code != code) {
        print_error("%s answered %s, but the record says: %s\n", call, verso_error_name(code), text);
        _fail(file, line);
    }
    *failures_before = failures;
    failed_attempts++;
    fake_fail_from(0);
    return false;
}

static void run(void (*scenario)(void), const struct fake_holdings *wanted)
{
    size_t descriptors = support_descriptor_count();
    struct fake_holdings held;

    failed_attempts = 0;
    scenario();
    fake_end();
    held = fake_held();
    assert_null(fake_complaint());
    assert_int_equal(held.descriptors, wanted->descriptors);
    assert_int_equal(held.mapped_bytes, wanted->mapped_bytes);
    assert_int_equal(held.allocations, wanted->allocations);
    assert_int_equal(support_descriptor_count(), descriptors);
}

/* The refusal at @n was got around: whatever was done instead must bear failing too. */
static void run_pairs(void (*scenario)(void), const struct fake_holdings *held, unsigned n, unsigned variant)
{
    unsigned failures = 2;

    for (unsigned second = n + 1; failures >= 2; second++) {
        (void)snprintf(run_name, sizeof(run_name), "call %u refused with its error %u, and call %u", n, variant,
                       second);
        fake_begin();
        fake_fail_nth(n, (int)variant);
        fake_fail_nth(second, 0);
        run(scenario, held);
        failures = fake_failures();
    }
}

static void run_each_call(void (*scenario)(void), const struct fake_holdings *held)
{
    for (unsigned n = 1;; n++)
        for (unsigned variant = 0; variant == 0 || variant < fake_failed_call_errors(); variant++) {
            (void)snprintf(run_name, sizeof(run_name), "call %u refused with its error %u", n, variant);
            fake_begin();
            fake_fail_nth(n, (int)variant);
            run(scenario, held);
            if (fake_failures() == 0)
                return;
            if (failed_attempts == 0)
                run_pairs(scenario, held, n, variant);
        }
}

static void run_from_each_call(void (*scenario)(void), const struct fake_holdings *held)
{
    for (unsigned n = 1;; n++) {
        (void)snprintf(run_name, sizeof(run_name), "every call refused from %u on", n);
        fake_begin();
        fake_fail_from(n);
        run(scenario, held);
        if (fake_failures() == 0)
            return;
    }
}

void torture(void (*scenario)(void))
{
    struct fake_holdings held;

    /* Twice, as what is kept for the process's whole life is acquired in the first. */
    (void)snprintf(run_name, sizeof(run_name), "nothing refused");
    fake_begin();
    scenario();
    fake_end();
    held = fake_held();
    fake_begin();
    run(scenario, &held);
    assert_int_equal(failed_attempts, 0);
    print_message("# %u calls\n", fake_calls_seen());

    run_each_call(scenario, &held);
    run_from_each_call(scenario, &held);
    *run_name = '\0';
}
