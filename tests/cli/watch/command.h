/* SPDX-License-Identifier: MIT */
/* command.h - running the command from a test, and reading its JSON. */
#ifndef VERSO_TESTS_CLI_WATCH_COMMAND_H
#define VERSO_TESTS_CLI_WATCH_COMMAND_H

#include "support.h"

#include <jansson.h>
#include <sys/types.h>

/* Takes the command's path from the test's arguments. */
void command_find(int count, char **arguments);
const char *command_path(void);

/* Runs another program or (@program NULL) verso; answers what it printed, the caller frees; *out_exit gets its code. */
char *command_run(const char *program, uid_t user, const char *const *arguments, int *out_exit);

/* Runs `verso watch --json ...` as @user (0: as we are), wants exit 0 and one object. Caller: json_decref(). */
json_t *watch_json(uid_t user, const char *const *arguments);

/* Fields that must be there. */
uint64_t field(const json_t *object, const char *key);
const char *text_field(const json_t *object, const char *key);
const json_t *list_field(const json_t *object, const char *key);

#endif
