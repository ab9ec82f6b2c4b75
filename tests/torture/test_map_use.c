/* SPDX-License-Identifier: MIT */
/* map use - what is done with a map once it is open, with every call beneath failing in turn. */
#include "map_steps.h"

/* A call on an open map; whether it fails or not, the content stands. */
#define on_map(map, call) attempt(call) assert_pattern((map), 0, FILE_BYTES)

static void advise_all(void)
{
    static const enum verso_map_advice advices[] = {
        VERSO_MAP_ADVICE_NORMAL, VERSO_MAP_ADVICE_RANDOM,  VERSO_MAP_ADVICE_SEQUENTIAL, VERSO_MAP_ADVICE_WILLNEED,
        VERSO_MAP_ADVICE_COLD,   VERSO_MAP_ADVICE_PAGEOUT, VERSO_MAP_ADVICE_DONTNEED,   VERSO_MAP_ADVICE_NO_CORE,
    };
    struct verso_map *map = opened_file(VERSO_MAP_WRITE);

    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        on_map(map, verso_map_advise(map, 5000, 70000, advices[i]));
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}
TORTURE(advise_all)

static void populate_and_lock(void)
{
    struct verso_map *map = opened_file(VERSO_MAP_PRIVATE);

    on_map(map, verso_map_populate(map, 5000, 1, 0));
    on_map(map, verso_map_populate(map, 0, 0, 1));
    on_map(map, verso_map_lock(map, 0, 0, 1));
    on_map(map, verso_map_lock(map, 5000, 5000, 0));
    on_map(map, verso_map_unlock(map, 0, 0));
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}
TORTURE(populate_and_lock)

static void protect(void)
{
    struct verso_map *map = opened_file(VERSO_MAP_PRIVATE);
    unsigned char *data = verso_map_data(map);

    on_map(map, verso_map_protect(map, 0, verso_page_bytes(), VERSO_MAP_ACCESS_READ));
    on_map(map, verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_WRITE));
    data[0] = support_byte(0);
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}
TORTURE(protect)

static void seal(void)
{
    struct verso_map *map = UNTOUCHED;
    struct verso_map_options options = with(0);

    options.length_bytes = 100; /* one page a run: it stays for ever */
    map = opened(support_file("file", FILE_BYTES), &options);
    for (unsigned failures = fake_failures(), tries = 0;;) {
        int r = verso_map_seal(map);

        if (r == VERSO_E_UNSUPPORTED && fake_failures() == failures)
            break; /* this kernel has no mseal */
        if (torture_judge(r, &failures, &tries, "verso_map_seal", __FILE__, __LINE__))
            break;
    }
    assert_pattern(map, 0, 100);
    verso_map_close(map);
}
TORTURE(seal)

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_advise_all),
        torture_test(test_populate_and_lock),
        torture_test(test_protect),
        torture_test(test_seal),
    };

    return run_test_list(list);
}
