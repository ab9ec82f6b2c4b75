/* SPDX-License-Identifier: MIT */
/* main - finds the subcommand and runs it. */
#include "command.h"
#include "output.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <verso/base.h>

static const struct command *const commands[] = {
#define COMMAND_ROW(name) &command_##name,
    COMMAND_LIST(COMMAND_ROW)
#undef COMMAND_ROW
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static atomic_bool interrupted_flag; /* threads look at it, so sig_atomic_t would not do */

bool interrupted(void)
{
    return atomic_load_explicit(&interrupted_flag, memory_order_relaxed);
}

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store_explicit(&interrupted_flag, true, memory_order_relaxed);
}

static void print_help(FILE *stream)
{
    fputs("verso - memory mapping, safe, fast and visible\n\n"
          "  $ verso watch /usr/lib/x86_64-linux-gnu/libc.so.6\n\n"
          "Commands:\n",
          stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(stream, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n`verso <command> --help` tells more; `verso --version` the version.\n"
          "Exit codes: 0 yes or done, 1 checked and no, 2 trouble or bad usage.\n",
          stream);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* A file opened while 0, 1 or 2 is closed would become that stream, and data would be printed into it, or read from it.
 * Each is opened the wrong way round, so that its use still fails, and is told. */
static void keep_streams_taken(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY);
        if (fd == STDIN_FILENO) {
            close(fd);
            fd = open("/dev/null", O_WRONLY);
        }
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int complain_command(const char *name)
{
    char *shown = name_shown(name);
    int answer = trouble("no command is called '%s'; `verso --help` lists them", shown);

    free(shown);
    return answer;
}

/* A handler without SA_RESTART, so that waiting calls end and loops get to look at interrupted(). */
static void catch_interrupts(void)
{
    struct sigaction action = { 0 }, before;

    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup means it */
        sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error, which output_finish() reports */
}

static int run(const struct command *command, int count, char **arguments)
{
    char **rest;
    int rest_count;
    int answer = options_parse(command, count, arguments, &rest_count, &rest);

    return answer >= 0 ? answer : command->run(rest_count, rest);
}

int main(int count, char **arguments)
{
    const struct command *command;

    keep_streams_taken();
    if (count < 2) {
        print_help(stderr);
        return EXIT_TROUBLE;
    }
    if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0 ||
        (strcmp(arguments[1], "help") == 0 && count == 2)) {
        print_help(stdout);
        return output_finish(EXIT_YES);
    }
    if (strcmp(arguments[1], "--version") == 0) {
        printf("verso %s\n", verso_version());
        return output_finish(EXIT_YES);
    }
    if (strcmp(arguments[1], "help") == 0) {
        if (count > 3)
            return trouble("help takes one command; `verso --help` lists them");
        command = find(arguments[2]);
        if (command) {
            options_help(command);
            return output_finish(EXIT_YES);
        }
        return complain_command(arguments[2]);
    }
    command = find(arguments[1]);
    if (!command)
        return complain_command(arguments[1]);
    output_command_set(command->name);
    catch_interrupts();
    return output_finish(run(command, count - 1, arguments + 1));
}
