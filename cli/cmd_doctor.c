/* SPDX-License-Identifier: MIT */
/* doctor - what this machine can do, what verso does without the rest, and which limits bite. */
#include "command.h"
#include "output.h"

#include <verso/features.h>

static const struct option_row options[] = { { 0, NULL, OPTION_FLAG, NULL, NULL, NULL } };

static const char *const state_words[] = {
    [VERSO_FEATURE_PRESENT] = "present",
    [VERSO_FEATURE_ABSENT] = "absent",
    [VERSO_FEATURE_FORBIDDEN] = "forbidden",
    [VERSO_FEATURE_UNTRIED] = "untried",
};

static json_t *features_json(const struct verso_feature *features, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{ss ss ss ss ss si ss}", "name", features[i].name, "state",
                                              state_words[features[i].state], "since", features[i].since, "purpose",
                                              features[i].purpose, "without", features[i].without, "error",
                                              features[i].error, "note", features[i].note));
    return list;
}

static int run(int count, char **arguments)
{
    const struct verso_feature *features;
    size_t feature_count;

    (void)arguments;
    if (count)
        return trouble("no arguments are wanted, only options; see `verso doctor --help`");
    if (verso_features_get(&features, &feature_count) < 0)
        return trouble_error();
    if (common.json)
        return json_print(json_pack("{so}", "features", features_json(features, feature_count)), 1);
    for (size_t i = 0; i < feature_count; i++)
        printf("%-24s %s\n", features[i].name, state_words[features[i].state]);
    return EXIT_YES;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what this machine can do, and which limits bite",
    .arguments = "",
    .example = "  $ verso doctor\n",
    .details = "",
    .options = options,
    .has_json = true,
    .run = run,
};
