/* SPDX-License-Identifier: MIT */
/*
 * pages - a stack of numbers that grows in place: a gigabyte of addresses, memory as it is needed, a guard behind it.
 *
 *     $ seq 1 1000000 | pages
 *     1000000 numbers, sum 500000500000, 7.7 MiB committed of 1024 MiB
 */
#include <inttypes.h>
#include <stdio.h>
#include <verso.h>

#define SPAN_BYTES ((uint64_t)1 << 30)
#define STEP_BYTES ((uint64_t)64 << 10)

struct stack {
    struct verso_pages *pages;
    int64_t *numbers; /* never moves */
    size_t count;
    uint64_t committed_bytes;
};

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "pages: %s\n", line);
    return 2;
}

static int push(struct stack *stack, int64_t number)
{
    if ((stack->count + 1) * sizeof(number) > stack->committed_bytes) {
        int r = verso_pages_commit(stack->pages, stack->committed_bytes, STEP_BYTES);

        if (r < 0)
            return r; /* no memory, or the end of the span: the stack is as it was */
        stack->committed_bytes += STEP_BYTES;
    }
    stack->numbers[stack->count++] = number;
    return 0;
}

int main(void)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct stack stack = { 0 };
    int64_t number, sum = 0;

    options.name = "stack of numbers";
    options.flags = VERSO_PAGES_GUARD_ENDS;
    if (verso_pages_open(SPAN_BYTES, &options, &stack.pages) < 0)
        return fail();
    stack.numbers = verso_pages_data(stack.pages);
    while (scanf("%" SCNd64, &number) == 1)
        if (push(&stack, number) < 0)
            return fail();
    for (size_t i = 0; i < stack.count; i++)
        sum += stack.numbers[i];
    printf("%zu numbers, sum %" PRId64 ", %.1f MiB committed of %.0f MiB\n", stack.count, sum,
           (double)stack.committed_bytes / (1 << 20), (double)SPAN_BYTES / (1 << 20));
    verso_pages_close(stack.pages);
    return 0;
}
