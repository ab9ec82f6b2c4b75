/* SPDX-License-Identifier: MIT */
/*
 * model - a long random use of every call on one thread, against a model: two counters and what each side holds.
 *
 * The content needs no model: byte n of the stream is always the pattern's n-th.
 */
#include "rings.h"

#define STEPS 200000

struct model {
    struct verso_ring *ring;
    size_t capacity;
    uint64_t in, out; /* committed, consumed */
    size_t reserved, peeked;
    unsigned char *room, *data; /* where those begin */
    uint64_t dice;
    unsigned char buffer[20000];
};

static size_t roll(struct model *model, size_t below)
{
    model->dice ^= model->dice << 13;
    model->dice ^= model->dice >> 7;
    model->dice ^= model->dice << 17;
    return (size_t)((model->dice >> 11) % below);
}

/* Lengths of all kinds: mostly short, often about as much as there is, at times more than can be. */
static size_t roll_bytes(struct model *model, size_t there)
{
    switch (roll(model, 8)) {
    case 0:
        return roll(model, model->capacity + 3);
    case 1:
        return there + roll(model, 3);
    case 2:
        return there > 0 ? there - roll(model, there < 3 ? there : 3) : 0;
    default:
        return roll(model, 200);
    }
}

static size_t used(const struct model *model)
{
    return (size_t)(model->in - model->out);
}

static size_t least_of(size_t asked)
{
    return asked ? asked : 1;
}

/* What reserve (of @there bytes of room) or peek (of @there bytes of data) must answer. */
static int answer(const struct model *model, size_t asked, size_t there)
{
    if (least_of(asked) > model->capacity)
        return VERSO_E_RANGE;
    return least_of(asked) > there ? -EAGAIN : 0;
}

static void reserve(struct model *model)
{
    size_t there = model->capacity - used(model), asked = roll_bytes(model, there), got = 77;
    bool tells = roll(model, 2);
    void *data = model;
    int r = verso_ring_reserve(model->ring, asked, &data, tells ? &got : NULL);

    assert_int_equal(r, answer(model, asked, there));
    if (r < 0) {
        assert_true(data == model && got == 77);
        return;
    }
    model->room = data;
    model->reserved = tells ? there : least_of(asked);
    assert_int_equal(got, tells ? there : 77);
    pattern_fill(model->room, model->in, model->reserved);
}

static void commit(struct model *model)
{
    size_t bytes = roll_bytes(model, model->reserved);
    int r = verso_ring_commit(model->ring, bytes);

    assert_int_equal(r, bytes > model->reserved ? VERSO_E_RANGE : 0);
    if (r < 0)
        return;
    model->reserved -= bytes;
    model->in += bytes;
}

static void peek(struct model *model)
{
    size_t asked = roll_bytes(model, used(model)), got = 77;
    bool tells = roll(model, 2);
    void *data = model;
    int r = verso_ring_peek(model->ring, asked, &data, tells ? &got : NULL);

    assert_int_equal(r, answer(model, asked, used(model)));
    if (r < 0) {
        assert_true(data == model && got == 77);
        return;
    }
    model->data = data;
    model->peeked = tells ? used(model) : least_of(asked);
    assert_int_equal(got, tells ? used(model) : 77);
    assert_true(support_matches(model->data, model->out, model->peeked));
}

static void consume(struct model *model)
{
    size_t bytes = roll_bytes(model, model->peeked);
    int r = verso_ring_consume(model->ring, bytes);

    assert_int_equal(r, bytes > model->peeked ? VERSO_E_RANGE : 0);
    if (r < 0)
        return;
    model->peeked -= bytes;
    model->out += bytes;
}

static void write_copy(struct model *model)
{
    size_t there = model->capacity - used(model), bytes = roll_bytes(model, there);
    int r;

    pattern_fill(model->buffer, model->in, bytes);
    r = verso_ring_write(model->ring, model->buffer, bytes);
    assert_int_equal(r, bytes == 0 ? 0 : answer(model, bytes, there));
    if (r < 0 || bytes == 0)
        return;
    model->reserved = 0;
    model->in += bytes;
}

static void read_copy(struct model *model)
{
    size_t room = roll_bytes(model, used(model)), got = 77;
    int r = verso_ring_read(model->ring, model->buffer, room, &got);

    assert_int_equal(r, room == 0 || used(model) > 0 ? 0 : -EAGAIN);
    if (r < 0 || room == 0) {
        assert_int_equal(got, r < 0 ? 77 : 0);
        return;
    }
    assert_int_equal(got, room < used(model) ? room : used(model));
    assert_true(support_matches(model->buffer, model->out, got));
    model->peeked = 0;
    model->out += got;
}

static int not_in_time(int r)
{
    return r == -EAGAIN ? -ETIMEDOUT : r;
}

static void wait(struct model *model)
{
    size_t there = model->capacity - used(model), asked = roll_bytes(model, there);

    assert_int_equal(verso_ring_wait_room(model->ring, asked, 0), not_in_time(answer(model, asked, there)));
    asked = roll_bytes(model, used(model));
    assert_int_equal(verso_ring_wait_data(model->ring, asked, 0), not_in_time(answer(model, asked, used(model))));
}

static void use(size_t pages, uint64_t seed)
{
    static void (*const steps[])(struct model *) = { reserve, commit,     commit,    peek, consume,
                                                     consume, write_copy, read_copy, wait };
    static struct model model;

    model = (struct model){ .ring = opened_ring(pages * verso_page_bytes(), 0), .dice = seed };
    model.capacity = verso_ring_capacity_bytes(model.ring);
    assert_true(model.capacity + 3 <= sizeof(model.buffer));
    for (int i = 0; i < STEPS; i++) {
        struct verso_ring_info info;

        steps[roll(&model, sizeof(steps) / sizeof(steps[0]))](&model);
        info = info_of(model.ring);
        assert_true(info.written_bytes == model.in && info.read_bytes == model.out);
        assert_true(info.used_bytes == used(&model));
    }
    print_message("# %d steps, %llu times around\n", STEPS, (unsigned long long)(model.out / model.capacity));
    assert_true(model.out > 20 * model.capacity);
    verso_ring_close(model.ring);
}

static void test_one_page(void **state)
{
    (void)state;
    if (verso_page_bytes() > 4096)
        skip_because("pages of %zu bytes are too long for the model's buffer", verso_page_bytes());
    use(1, 88172645463325252U);
}

static void test_three_pages(void **state)
{
    (void)state;
    if (verso_page_bytes() > 4096)
        skip_because("pages of %zu bytes are too long for the model's buffer", verso_page_bytes());
    use(3, 1234567890123457U);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_one_page),
        cmocka_unit_test(test_three_pages),
    };

    return run_test_list(list);
}
