/* SPDX-License-Identifier: MIT */
/*
 * jit - arithmetic as machine code: an expression in x becomes a function, which is then called.
 *
 *     $ jit '(x + 3) * -x' 5
 *     -40
 *
 * Without an expression it tries itself: random expressions, each computed by the function that was made of it and by
 * walking the expression, must agree. Numbers are of 64 bits and wrap around; there are + - * and parentheses.
 *
 * The code is a stack machine's, written down without a thought for speed; what the example is about is compile(): make
 * a block, write the code through one address, run it at another.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <verso.h>

typedef int64_t function_of_x(int64_t x);

/* ---- Reading: an expression becomes a list of steps for a stack: "(x + 3) * -x" is x 3 + x ~ * ---- */

#define STEPS_MAX 512
#define DEPTH_MAX 100

struct step {
    char what; /* 'n' a number, 'x', '+', '-', '*', '~' negate */
    int64_t number;
};

struct program {
    struct step steps[STEPS_MAX];
    size_t count;
    const char *text; /* what is still to be read; NULL: it was no expression */
    int depth;
};

static void add_step(struct program *program, char what, int64_t number)
{
    if (program->count == STEPS_MAX)
        program->text = NULL;
    else
        program->steps[program->count++] = (struct step){ what, number };
}

/* The next character that is no blank. */
static char next(struct program *program)
{
    if (!program->text)
        return '\0';
    program->text += strspn(program->text, " ");
    return *program->text;
}

static void read_sum(struct program *program);

/* A number, x, a sum in parentheses, or the negative of one of these. */
static void read_value(struct program *program)
{
    char c = next(program);

    if (!c || ++program->depth > DEPTH_MAX) {
        program->text = NULL;
        return;
    }
    if (c >= '0' && c <= '9') {
        char *end;
        unsigned long long number = strtoull(program->text, &end, 10);

        program->text = end;
        add_step(program, 'n', (int64_t)number);
    } else {
        program->text++;
        if (c == 'x') {
            add_step(program, 'x', 0);
        } else if (c == '-') {
            read_value(program);
            add_step(program, '~', 0);
        } else if (c == '(') {
            read_sum(program);
            program->text = next(program) == ')' ? program->text + 1 : NULL;
        } else {
            program->text = NULL;
        }
    }
    program->depth--;
}

static void read_product(struct program *program)
{
    read_value(program);
    while (next(program) == '*') {
        program->text++;
        read_value(program);
        add_step(program, '*', 0);
    }
}

static void read_sum(struct program *program)
{
    char sign;

    read_product(program);
    while ((sign = next(program)) == '+' || sign == '-') {
        program->text++;
        read_product(program);
        add_step(program, sign, 0);
    }
}

static int parse(const char *text, struct program *out_program)
{
    memset(out_program, 0, sizeof(*out_program));
    out_program->text = text;
    read_sum(out_program);
    return out_program->text && next(out_program) == '\0' ? 0 : -1;
}

/* ---- Computing by walking the steps ---- */

static int64_t interpret(const struct program *program, int64_t x)
{
    uint64_t stack[STEPS_MAX] = { 0 }; /* unsigned: wraps around as the machine's numbers do */
    size_t top = 0;

    for (size_t i = 0; i < program->count; i++) {
        const struct step *step = &program->steps[i];

        if (step->what == 'n' || step->what == 'x') {
            stack[top++] = (uint64_t)(step->what == 'x' ? x : step->number);
        } else if (step->what == '~') {
            stack[top - 1] = 0 - stack[top - 1];
        } else {
            uint64_t right = stack[--top];

            stack[top - 1] = step->what == '+'   ? stack[top - 1] + right
                             : step->what == '-' ? stack[top - 1] - right
                                                 : stack[top - 1] * right;
        }
    }
    return (int64_t)stack[0];
}

/* ---- Writing machine code: into @out, at most STEP_BYTES_MAX a step; answers how many bytes ---- */

#define STEP_BYTES_MAX 32

static size_t put(unsigned char *out, const void *bytes, size_t count)
{
    memcpy(out, bytes, count);
    return count;
}

#if defined(__x86_64__)
#define CPU_IS_KNOWN 1

static size_t put_step(unsigned char *out, const struct step *step)
{
    static const unsigned char load[] = { 0x48, 0xb8 };        /* mov rax, the eight bytes that follow */
    static const unsigned char push_rax = 0x50, push_x = 0x57; /* x comes in rdi */
    static const unsigned char pop_both[] = { 0x59, 0x58 };    /* pop rcx; pop rax */
    static const unsigned char add[] = { 0x48, 0x01, 0xc8 }, subtract[] = { 0x48, 0x29, 0xc8 };
    static const unsigned char multiply[] = { 0x48, 0x0f, 0xaf, 0xc1 };
    static const unsigned char negate[] = { 0x58, 0x48, 0xf7, 0xd8 }; /* pop rax; neg rax */
    size_t n = 0;

    if (step->what == 'x')
        return put(out, &push_x, 1);
    if (step->what == 'n') {
        n += put(out, load, sizeof(load));
        n += put(out + n, &step->number, sizeof(step->number));
    } else if (step->what == '~') {
        n += put(out, negate, sizeof(negate));
    } else {
        n += put(out, pop_both, sizeof(pop_both));
        if (step->what == '+')
            n += put(out + n, add, sizeof(add));
        else if (step->what == '-')
            n += put(out + n, subtract, sizeof(subtract));
        else
            n += put(out + n, multiply, sizeof(multiply));
    }
    return n + put(out + n, &push_rax, 1);
}

static size_t put_return(unsigned char *out)
{
    static const unsigned char code[] = { 0x58, 0xc3 }; /* pop rax; ret */

    return put(out, code, sizeof(code));
}

#elif defined(__aarch64__)
#define CPU_IS_KNOWN 1

/* x comes in x0; the stack must stay a multiple of 16. */
static size_t put_step(unsigned char *out, const struct step *step)
{
    static const uint32_t push_x = 0xf81f0fe0, push = 0xf81f0fe1;                         /* str x0 (x1), [sp, #-16]! */
    static const uint32_t pop_right = 0xf84107e2, pop_left = 0xf84107e1;                  /* ldr x2 (x1), [sp], #16 */
    static const uint32_t add = 0x8b020021, subtract = 0xcb020021, multiply = 0x9b027c21; /* x1 = x1 op x2 */
    static const uint32_t negate = 0xcb0103e1;
    static const uint32_t load[] = { 0xd2800001, 0xf2a00001, 0xf2c00001, 0xf2e00001 }; /* movz, movk: 16 bits each */
    size_t n = 0;

    if (step->what == 'x')
        return put(out, &push_x, 4);
    if (step->what == 'n') {
        for (unsigned i = 0; i < 4; i++) {
            uint32_t word = load[i] | ((uint32_t)((uint64_t)step->number >> (16 * i)) & 0xffff) << 5;

            n += put(out + n, &word, 4);
        }
    } else if (step->what == '~') {
        n += put(out, &pop_left, 4);
        n += put(out + n, &negate, 4);
    } else {
        n += put(out, &pop_right, 4);
        n += put(out + n, &pop_left, 4);
        n += put(out + n, step->what == '+' ? &add : step->what == '-' ? &subtract : &multiply, 4);
    }
    return n + put(out + n, &push, 4);
}

static size_t put_return(unsigned char *out)
{
    static const uint32_t code[] = { 0xf84107e0, 0xd65f03c0 }; /* ldr x0, [sp], #16; ret */

    return put(out, code, sizeof(code));
}

#else
#define CPU_IS_KNOWN 0

static size_t put_step(unsigned char *out, const struct step *step)
{
    return put(out, step, 1);
}

static size_t put_return(unsigned char *out)
{
    *out = 0;
    return 1;
}
#endif

/* Makes a function of the program, in a block of the pool's. */
static int compile(struct verso_code *code, const struct program *program, const void **out_block)
{
    const void *block;
    void *write;
    size_t bytes = 0;
    int r;

    r = verso_code_alloc(code, (program->count + 1) * STEP_BYTES_MAX, &block);
    if (r < 0)
        return r;
    r = verso_code_begin(code, block, &write);
    if (r == 0) {
        for (size_t i = 0; i < program->count; i++)
            bytes += put_step((unsigned char *)write + bytes, &program->steps[i]);
        bytes += put_return((unsigned char *)write + bytes);
        r = verso_code_end(code, block);
    }
    if (r == 0)
        r = verso_code_shrink(code, block, bytes); /* how long it would be was only known afterwards */
    if (r < 0)
        return r;
    *out_block = block;
    return 0;
}

/* ---- Trying ---- */

static uint64_t draw(uint64_t below)
{
    static uint64_t state = 1;

    state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (state >> 33) % below;
}

/* A random expression, appended to @text, which has room for all that this @depth allows. */
static void imagine(char *text, int depth)
{
    char *end = text + strlen(text);

    if (depth == 0 || draw(4) == 0) {
        if (draw(2))
            (void)snprintf(end, 24, "x");
        else
            (void)snprintf(end, 24, "%llu", (unsigned long long)(draw(2) ? draw(10) : draw(1U << 31) * draw(1U << 31)));
        return;
    }
    (void)snprintf(end, 24, draw(5) == 0 ? "-(" : "(");
    imagine(text, depth - 1);
    (void)snprintf(text + strlen(text), 24, " %c ", "+-*"[draw(3)]);
    imagine(text, depth - 1);
    (void)snprintf(text + strlen(text), 24, ")");
}

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "jit: %s\n", line);
    return 2;
}

static int try_one(struct verso_code *code, const char *text)
{
    static struct program program;
    function_of_x *function;
    const void *block;

    if (parse(text, &program) < 0)
        return 1;
    if (compile(code, &program, &block) < 0)
        return fail();
    memcpy(&function, &block, sizeof(function));
    for (int i = 0; i < 10; i++) {
        int64_t x = i < 5 ? i - 2 : (int64_t)(draw(UINT32_MAX) * draw(UINT32_MAX));

        if (function(x) != interpret(&program, x)) {
            fprintf(stderr, "jit: %s at x = %lld: %lld and %lld\n", text, (long long)x, (long long)function(x),
                    (long long)interpret(&program, x));
            return 1;
        }
    }
    return draw(2) && verso_code_free(code, block) < 0 ? fail() : 0; /* half of them stay */
}

static int try_many(struct verso_code *code)
{
    enum {
        EXPRESSIONS = 2000
    };
    char text[4096];
    int r = 0;

    for (int i = 0; i < EXPRESSIONS && r == 0; i++) {
        *text = '\0';
        imagine(text, 6);
        r = try_one(code, text);
    }
    if (r == 0)
        printf("%d expressions, computed both ways: equal\n", EXPRESSIONS);
    return r;
}

static int compute(struct verso_code *code, const char *text, const char *value)
{
    static struct program program;
    function_of_x *function;
    const void *block;

    if (parse(text, &program) < 0) {
        fprintf(stderr, "jit: '%s' is no expression of numbers, x, + - * and ( )\n", text);
        return 2;
    }
    if (compile(code, &program, &block) < 0)
        return fail();
    memcpy(&function, &block, sizeof(function));
    printf("%lld\n", (long long)function(strtoll(value, NULL, 10)));
    return 0;
}

int main(int count, char **arguments)
{
    struct verso_code *code;
    int status;

    if (!CPU_IS_KNOWN) {
        puts("no machine code is known for this CPU: x86-64 and aarch64 only");
        return 0;
    }
    if (verso_code_open(NULL, &code) < 0)
        return fail();
    status = count > 2 ? compute(code, arguments[1], arguments[2]) : try_many(code);
    verso_code_close(code);
    return status;
}
