/* SPDX-License-Identifier: MIT */
/*
 * doctor - what this machine can do, what verso does without the rest, and which limits bite.
 *
 * A state is said by a word and a mark, and only then by a colour.
 */
#include "command.h"
#include "output.h"

#include <string.h>
#include <verso/error.h>
#include <verso/features.h>

#define NAME_WIDTH 34
#define WORD_WIDTH 9
#define SCHEMA 1

static bool all, strict;

static const struct option_row options[] = {
    { 'a', "all", OPTION_FLAG, NULL, "say of each feature what it is for, of each limit what happens there", &all },
    { 0, "strict", OPTION_FLAG, NULL, "end with 1 when a limit bites, too", &strict },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

static const struct state {
    const char *word;
    char mark;
    const char *color; /* bluish green, vermilion, orange, grey: told apart by colour-blind eyes */
} states[] = {
    [VERSO_FEATURE_PRESENT] = { "present", '+', "\033[38;5;36m" },
    [VERSO_FEATURE_ABSENT] = { "absent", '-', "\033[38;5;202m" },
    [VERSO_FEATURE_FORBIDDEN] = { "forbidden", 'x', "\033[38;5;202m" },
    [VERSO_FEATURE_UNTRIED] = { "untried", '?', "\033[38;5;214m" },
};
static const struct state biting = { "bites", '!', "\033[38;5;214m" };
static const struct state unknown = { "unknown", '?', "\033[38;5;214m" };
static const struct state fine = { "", ' ', "" };

struct findings {
    const struct verso_feature *features;
    size_t feature_count;
    struct verso_limit *limits;
    size_t limit_count;
    size_t state_counts[VERSO_FEATURE_UNTRIED + 1];
    size_t biting_count;
    size_t lacking_count; /* features that verso needs and that are not there */
};

static void count(struct findings *findings)
{
    for (size_t i = 0; i < findings->feature_count; i++) {
        const struct verso_feature *feature = &findings->features[i];

        findings->state_counts[feature->state]++;
        if (feature->needed && (feature->state == VERSO_FEATURE_ABSENT || feature->state == VERSO_FEATURE_FORBIDDEN))
            findings->lacking_count++;
    }
    for (size_t i = 0; i < findings->limit_count; i++)
        findings->biting_count += findings->limits[i].biting != 0;
}

/* ---- For people ---- */

/* " + name      word       more": coloured but for @more, and without blanks at the end. */
static void print_line(const struct state *state, const char *name, const char *more)
{
    bool color = *state->color && color_wanted(stdout);

    printf("%s %c %-*s %-*s%s%s%s\n", color ? state->color : "", state->mark, NAME_WIDTH, name, *more ? WORD_WIDTH : 0,
           state->word, color ? "\033[0m" : "", *more ? " " : "", more);
}

static void print_below(const char *label, const char *text)
{
    if (*text)
        printf("       %-8s %s\n", label, text);
}

static void print_feature(const struct verso_feature *feature)
{
    bool present = feature->state == VERSO_FEATURE_PRESENT;
    const char *note = all || !present ? feature->note : "";
    char more[256];

    (void)snprintf(more, sizeof(more), "%s%s%s%s", feature->error ? verso_error_name(feature->error) : "",
                   feature->needed && !present ? " (needed)" : "", feature->error && *note ? " " : "", note);
    print_line(&states[feature->state], feature->name, more);
    if (all)
        print_below("for", feature->purpose);
    if (all || !present)
        print_below("without", feature->without);
    if (all)
        print_below("since", feature->since);
}

static void print_limit(const struct verso_limit *limit)
{
    const struct state *state = limit->error ? &unknown : limit->biting ? &biting : &fine;
    char number[32], value[80];

    if (limit->error || *limit->word)
        (void)snprintf(value, sizeof(value), "%s", limit->error ? verso_error_name(limit->error) : limit->word);
    else if (limit->value == VERSO_LIMIT_NONE)
        (void)snprintf(value, sizeof(value), "unlimited");
    else if (strcmp(limit->unit, "bytes") == 0)
        (void)bytes_shown(limit->value, value);
    else
        (void)snprintf(value, sizeof(value), "%s %s", count_shown(limit->value, number), limit->unit);
    print_line(state, limit->name, value);
    if (all || limit->biting) {
        print_below("there", limit->meaning);
        print_below("change", limit->mend);
    }
}

static void print_findings(const struct findings *findings)
{
    const size_t *counts = findings->state_counts;

    printf("Features: %zu present, %zu absent, %zu forbidden, %zu untried\n\n", counts[VERSO_FEATURE_PRESENT],
           counts[VERSO_FEATURE_ABSENT], counts[VERSO_FEATURE_FORBIDDEN], counts[VERSO_FEATURE_UNTRIED]);
    for (size_t i = 0; i < findings->feature_count; i++)
        print_feature(&findings->features[i]);
    printf("\nLimits: %zu of %zu bite\n\n", findings->biting_count, findings->limit_count);
    for (size_t i = 0; i < findings->limit_count; i++)
        print_limit(&findings->limits[i]);
    if (findings->lacking_count)
        printf("\n%zu of the features that verso needs %s missing.\n", findings->lacking_count,
               findings->lacking_count == 1 ? "is" : "are");
    else
        printf("\nAll that verso needs is here.%s\n", all ? "" : " `verso doctor --all` says what each thing is for.");
}

/* ---- For programs ---- */

static json_t *feature_json(const struct verso_feature *feature)
{
    return json_pack("{ss ss sb so so ss ss ss ss}", "name", feature->name, "state", states[feature->state].word,
                     "needed", feature->needed, "error", json_integer(feature->error), "error_name",
                     feature->error ? json_string(verso_error_name(feature->error)) : json_null(), "note",
                     feature->note, "since", feature->since, "purpose", feature->purpose, "without", feature->without);
}

static json_t *limit_value_json(const struct verso_limit *limit)
{
    if (limit->error || limit->value == VERSO_LIMIT_NONE)
        return json_null();
    if (*limit->word)
        return json_string(limit->word);
    /* jansson's integers are signed; what is larger could only be "none" by another name */
    return json_integer(limit->value > INT64_MAX ? INT64_MAX : (json_int_t)limit->value);
}

static json_t *limit_json(const struct verso_limit *limit)
{
    return json_pack("{ss so sb ss sb so ss ss}", "name", limit->name, "value", limit_value_json(limit), "unlimited",
                     !limit->error && !*limit->word && limit->value == VERSO_LIMIT_NONE, "unit", limit->unit, "bites",
                     limit->biting, "error", json_integer(limit->error), "meaning", limit->meaning, "change",
                     limit->mend);
}

static int print_json(const struct findings *findings)
{
    json_t *features = json_array(), *limits = json_array();

    for (size_t i = 0; i < findings->feature_count; i++)
        json_array_append_new(features, feature_json(&findings->features[i]));
    for (size_t i = 0; i < findings->limit_count; i++)
        json_array_append_new(limits, limit_json(&findings->limits[i]));
    return json_print(json_pack("{so so so so}", "features", features, "limits", limits, "needed_missing",
                                json_integer((json_int_t)findings->lacking_count), "limits_biting",
                                json_integer((json_int_t)findings->biting_count)),
                      SCHEMA);
}

static int run(int argument_count, char **arguments)
{
    struct findings findings = { 0 };
    int answer = EXIT_YES;

    (void)arguments;
    if (argument_count)
        return trouble("takes no arguments, only options; see `verso doctor --help`");
    if (verso_features_get(&findings.features, &findings.feature_count) < 0 ||
        verso_limits_get(&findings.limits, &findings.limit_count) < 0)
        return trouble_error();
    count(&findings);
    if (common.json)
        answer = print_json(&findings);
    else
        print_findings(&findings);
    verso_limits_free(findings.limits);
    if (answer == EXIT_YES && (findings.lacking_count || (strict && findings.biting_count)))
        answer = EXIT_NO;
    return answer;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "what this machine can do, and which limits bite",
    .arguments = "",
    .example = "  $ verso doctor\n"
               "  $ cd /where/my/data/is && verso doctor --all\n",
    .details = "Each feature is tried, on small things that are gone afterwards; what depends on the file system, in\n"
               "the current directory. States: + present, - absent, x forbidden to this user, ? untried.\n"
               "A limit that bites is marked with !, and followed by the command that changes it.\n"
               "\n"
               "Exit codes: 0 all that verso needs is here, 1 something is missing (with --strict: or a limit\n"
               "bites), 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
