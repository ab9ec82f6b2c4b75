/* SPDX-License-Identifier: MIT */
/* command - see command.h. */
#include "command.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *verso;

void command_find(int count, char **arguments)
{
    if (count != 2) {
        (void)fprintf(stderr, "usage: %s VERSO\n", arguments[0]);
        exit(2);
    }
    verso = arguments[1];
}

const char *command_path(void)
{
    return verso;
}

/* In the child: never comes back. */
static void become(const char *program, uid_t user, const char *const *arguments, int output_fd)
{
    const char *list[32] = { program ? program : verso };
    size_t count = 1;

    for (; arguments[count - 1] && count < 31; count++)
        list[count] = arguments[count - 1];
    if (user && (setgroups(0, NULL) < 0 || setgid(user) < 0 || setuid(user) < 0))
        _exit(126);
    (void)dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    (void)dup2(output_fd, STDOUT_FILENO);
    (void)execvp(list[0], (char *const *)(uintptr_t)list);
    _exit(127);
}

static char *read_all(int fd)
{
    size_t room = 4096, length = 0;
    char *text = malloc(room);
    ssize_t got;

    assert_non_null(text);
    while ((got = read(fd, text + length, room - length - 1)) > 0) {
        length += (size_t)got;
        if (room - length < 2) {
            text = realloc(text, room *= 2);
            assert_non_null(text);
        }
    }
    text[length] = '\0';
    return text;
}

char *command_run(const char *program, uid_t user, const char *const *arguments, int *out_exit)
{
    int ends[2], status;
    char *text;
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become(program, user, arguments, ends[1]);
    close(ends[1]);
    text = read_all(ends[0]);
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *out_exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return text;
}

json_t *watch_json(uid_t user, const char *const *arguments)
{
    const char *list[16] = { "watch", "--json" };
    json_error_t error;
    json_t *object;
    size_t count = 2;
    char *text;
    int code;

    for (; arguments[count - 2] && count < 15; count++)
        list[count] = arguments[count - 2];
    text = command_run(NULL, user, list, &code);
    assert_int_equal(code, 0);
    object = json_loads(text, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
    if (!object)
        print_error("%s at line %d of: %s\n", error.text, error.line, text);
    assert_non_null(object);
    free(text);
    assert_int_equal(field(object, "schema"), 1);
    return object;
}

uint64_t field(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value))
        print_error("no number \"%s\"\n", key);
    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

const char *text_field(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_string(value));
    return json_string_value(value);
}

const json_t *list_field(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_array(value))
        print_error("no list \"%s\"\n", key);
    assert_true(json_is_array(value));
    return value;
}
