/* SPDX-License-Identifier: MIT */
/*
 * live - the picture in a terminal of its own: whatever happens, it goes on or ends, and the terminal is given back.
 */
#include "command.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <verso/base.h>

#define WAIT_MS 20000
#define ENTER "\033[?1049h"
#define LEAVE "\033[?1049l"

struct session {
    pid_t pid;
    int fd;
    char *output;
    size_t length;
    size_t room;
};

/* What a shell's background job ignores, a command at a terminal does not. */
static void heed_signals(void)
{
    const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)signal(signals[i], SIG_DFL);
}

static void session_start(struct session *session, const char *term, bool color, const char *const *arguments)
{
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    const char *list[16] = { command_path(), "watch" };

    for (size_t i = 0; arguments[i]; i++)
        list[i + 2] = arguments[i];
    *session = (struct session){ 0 };
    session->pid = forkpty(&session->fd, NULL, NULL, &size);
    assert_true(session->pid >= 0);
    if (session->pid > 0)
        return;
    heed_signals();
    (void)setenv("TERM", term, 1);
    (void)setenv("LC_ALL", "C.UTF-8", 1);
    (void)unsetenv("LINES");
    (void)unsetenv("COLUMNS");
    if (color)
        (void)unsetenv("NO_COLOR");
    else
        (void)setenv("NO_COLOR", "1", 1);
    (void)execv(list[0], (char *const *)(uintptr_t)list);
    _exit(127);
}

static bool take_output(struct session *session, int timeout_ms)
{
    struct pollfd ready = { .fd = session->fd, .events = POLLIN };
    ssize_t got;

    if (poll(&ready, 1, timeout_ms) != 1)
        return true;
    if (session->room - session->length < 4096) {
        session->room += 65536;
        session->output = realloc(session->output, session->room);
        assert_non_null(session->output);
    }
    got = read(session->fd, session->output + session->length, session->room - session->length - 1);
    if (got <= 0) /* EIO: the other side is closed */
        return false;
    session->length += (size_t)got;
    session->output[session->length] = '\0';
    return true;
}

static bool has_output(const struct session *session, const char *text)
{
    return session->output && memmem(session->output, session->length, text, strlen(text)) != NULL;
}

/* Reads on until @text came. */
static void wait_for(struct session *session, const char *text)
{
    for (int waited_ms = 0; !has_output(session, text); waited_ms += 50)
        if (!take_output(session, 50) || waited_ms > WAIT_MS) {
            print_error("waited in vain for \"%s\" in %zu bytes\n", text, session->length);
            fail();
        }
}

/* Reads on for a while. */
static void let_run(struct session *session, int rounds)
{
    for (int i = 0; i < rounds; i++)
        (void)take_output(session, 20);
}

static void type(struct session *session, const char *keys)
{
    assert_int_equal(write(session->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

/* Waits for the end; answers the wait status. */
static int session_end(struct session *session)
{
    int status = 0;
    bool ended = false;

    for (int waited_ms = 0; waited_ms < WAIT_MS && !ended; waited_ms += 20) {
        if (!take_output(session, 20))
            (void)poll(NULL, 0, 20); /* the terminal is closed, the process not yet gone */
        ended = waitpid(session->pid, &status, WNOHANG) == session->pid;
    }
    if (!ended) {
        (void)kill(session->pid, SIGKILL);
        (void)waitpid(session->pid, &status, 0);
    }
    while (poll(&(struct pollfd){ .fd = session->fd, .events = POLLIN }, 1, 20) == 1) /* still in the terminal */
        if (!take_output(session, 0))
            break;
    assert_true(ended);
    return status;
}

/* The picture was there, and is gone; lines are edited and echoed again. */
static void assert_given_back(const struct session *session)
{
    struct termios settings;
    const char *last = NULL, *at = session->output;

    assert_true(has_output(session, ENTER));
    while ((at = strstr(at, LEAVE)) != NULL)
        last = at++;
    assert_non_null(last);
    assert_null(strstr(last, ENTER));
    if (tcgetattr(session->fd, &settings) == 0)
        assert_true((settings.c_lflag & ICANON) && (settings.c_lflag & ECHO));
}

static void session_close(struct session *session)
{
    close(session->fd);
    free(session->output);
}

static const char *small_file(void)
{
    return support_file("shown", 300 * verso_page_bytes());
}

static void test_q_quits(void **state)
{
    const char *const arguments[] = { small_file(), NULL };
    struct session session;
    int status;

    (void)state;
    session_start(&session, "xterm-256color", true, arguments);
    wait_for(&session, "page cache");
    wait_for(&session, "frames");
    wait_for(&session, "minor faults");
    type(&session, "q");
    status = session_end(&session);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_given_back(&session);
    session_close(&session);
}

/* @typed: the key that makes the terminal send the signal; NULL: it comes from outside. */
static void end_by(int signal_number, const char *typed, bool must_die_of_it)
{
    const char *const arguments[] = { "--read", small_file(), NULL };
    struct session session;
    int status;

    session_start(&session, "xterm-256color", true, arguments);
    wait_for(&session, "verso-reader");
    if (typed)
        type(&session, typed);
    else
        assert_int_equal(kill(session.pid, signal_number), 0);
    status = session_end(&session);
    assert_true(must_die_of_it ? WIFSIGNALED(status) && WTERMSIG(status) == signal_number : WIFEXITED(status));
    assert_given_back(&session);
    session_close(&session);
}

static void test_interrupts_give_the_terminal_back(void **state)
{
    (void)state;
    end_by(SIGINT, "\003", false);
    end_by(SIGTERM, NULL, false);
    end_by(SIGHUP, NULL, false);
    end_by(SIGQUIT, "\034", true);
}

static void test_a_crash_gives_the_terminal_back(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers have crash handlers of their own");
    end_by(SIGSEGV, NULL, true);
    end_by(SIGABRT, NULL, true);
    end_by(SIGBUS, NULL, true);
}

/* The reader's pid, as its row tells it. */
static pid_t reader_of(pid_t parent)
{
    char path[64], text[256];
    pid_t found = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
    {
        FILE *stream = fopen(path, "re");

        assert_non_null(stream);
        if (fgets(text, sizeof(text), stream))
            found = (pid_t)strtol(text, NULL, 10);
        (void)fclose(stream);
    }
    return found;
}

static void test_it_outlives_its_reader(void **state)
{
    const char *const arguments[] = { "--read", small_file(), NULL };
    struct session session;
    pid_t reader;
    int status;

    (void)state;
    session_start(&session, "xterm-256color", true, arguments);
    wait_for(&session, "verso-reader");
    reader = reader_of(session.pid);
    if (reader <= 0) {
        type(&session, "q");
        (void)session_end(&session);
        session_close(&session);
        skip_because("this kernel does not list children");
    }
    assert_int_equal(kill(reader, SIGKILL), 0);
    wait_for(&session, "the reader has ended");
    type(&session, "q");
    status = session_end(&session);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_given_back(&session);
    session_close(&session);
}

static pid_t start_without_terminal(const char *path)
{
    const char *const list[] = { command_path(), "watch", "--read", "--for", "60", path, NULL };
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    (void)setpgid(0, 0); /* no signal of a terminal reaches it or its reader */
    (void)dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);
    (void)execv(list[0], (char *const *)(uintptr_t)list);
    _exit(127);
}

/* Killed without a chance to say goodbye, the watcher takes its reader with it all the same. */
static void test_the_reader_goes_with_it(void **state)
{
    pid_t watcher = start_without_terminal(small_file()), reader = 0;
    int status;

    (void)state;
    for (int i = 0; i < 500 && (reader = reader_of(watcher)) <= 0; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(kill(watcher, SIGKILL), 0);
    assert_int_equal(waitpid(watcher, &status, 0), watcher);
    if (reader <= 0)
        skip_because("this kernel does not list children");
    for (int i = 0; i < 500 && kill(reader, 0) == 0; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(kill(reader, 0), -1);
}

/* A window that is closed is no reason to go on, nor to wait for a key for ever: also where no signal tells of it,
 * because it is another session's or is ignored (nohup). */
static void test_a_terminal_that_goes_away(void **state)
{
    const char *const list[] = { command_path(), "watch", "--interval", "1000000", small_file(), NULL };
    int master, slave, status = 0;
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    char output[4096];
    bool ended = false;
    pid_t pid;

    (void)state;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGHUP, SIG_IGN);
        (void)setenv("TERM", "xterm-256color", 1);
        (void)dup2(slave, STDIN_FILENO);
        (void)dup2(slave, STDOUT_FILENO);
        close(master);
        close(slave);
        (void)execv(list[0], (char *const *)(uintptr_t)list);
        _exit(127);
    }
    close(slave);
    assert_true(read(master, output, sizeof(output)) > 0);
    close(master);
    for (int waited_ms = 0; waited_ms < WAIT_MS && !ended; waited_ms += 20) {
        (void)poll(NULL, 0, 20);
        ended = waitpid(pid, &status, WNOHANG) == pid;
    }
    if (!ended) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    assert_true(ended && WIFEXITED(status));
}

static void resize(struct session *session, unsigned short rows, unsigned short columns)
{
    struct winsize size = { .ws_row = rows, .ws_col = columns };

    assert_int_equal(ioctl(session->fd, TIOCSWINSZ, &size), 0);
    let_run(session, 10);
}

static void test_any_size(void **state)
{
    static const unsigned short sizes[][2] = { { 12, 40 }, { 3, 10 }, { 1, 1 }, { 60, 200 }, { 6, 24 }, { 24, 80 } };
    const char *const arguments[] = { "--read", small_file(), NULL };
    struct session session;
    int status;

    (void)state;
    session_start(&session, "xterm-256color", true, arguments);
    wait_for(&session, "page cache");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        resize(&session, sizes[i][0], sizes[i][1]);
        type(&session, "?");
        let_run(&session, 3);
        type(&session, "?+g");
        let_run(&session, 3);
    }
    type(&session, "q");
    status = session_end(&session);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_given_back(&session);
    session_close(&session);
}

static void test_any_keys(void **state)
{
    static const char *const keys[] = { "+",      "-", "0", "\033[C", "\033[D", "\033[A", "\033[B", "\033OH",
                                        "\033OF", ",", ".", "[",      "]",      "\t",     "\033[Z", " ",
                                        "g",      "f", "m", "?",      "\377",   "x" };
    const char *const arguments[] = { small_file(), NULL };
    struct session session;
    uint32_t random = 7;
    int status;

    (void)state;
    session_start(&session, "xterm-256color", true, arguments);
    wait_for(&session, "page cache");
    for (int i = 0; i < 300; i++) {
        random = random * 1664525u + 1013904223u;
        type(&session, keys[(random >> 16) % (sizeof(keys) / sizeof(keys[0]))]);
        if (i % 20 == 0)
            let_run(&session, 1);
    }
    assert_int_equal(kill(session.pid, 0), 0);
    assert_int_equal(kill(session.pid, SIGTERM), 0);
    status = session_end(&session);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_given_back(&session);
    session_close(&session);
}

static void test_the_file_may_do_what_it_likes(void **state)
{
    const char *path = small_file(), *const arguments[] = { "--read", path, NULL };
    struct session session;
    int status;

    (void)state;
    session_start(&session, "xterm-256color", true, arguments);
    wait_for(&session, "verso-reader");
    assert_int_equal(truncate(path, 5000), 0);
    let_run(&session, 20);
    assert_int_equal(truncate(path, 0), 0);
    let_run(&session, 20);
    wait_for(&session, "the file is empty");
    assert_int_equal(truncate(path, 1 << 30), 0);
    let_run(&session, 20);
    assert_int_equal(unlink(path), 0);
    wait_for(&session, "its name is gone");
    type(&session, "q");
    status = session_end(&session);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_given_back(&session);
    session_close(&session);
}

static void test_for_so_long(void **state)
{
    const char *const arguments[] = { "--for", "1", small_file(), NULL };
    struct session session;
    int status;

    (void)state;
    session_start(&session, "xterm-256color", true, arguments);
    status = session_end(&session);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_given_back(&session);
    session_close(&session);
}

static void test_without_colours(void **state)
{
    const char *const arguments[] = { small_file(), NULL };
    struct session session;

    (void)state;
    session_start(&session, "xterm-256color", false, arguments);
    wait_for(&session, "page cache");
    wait_for(&session, "minor faults");
    let_run(&session, 20);
    type(&session, "q");
    (void)session_end(&session);
    assert_false(has_output(&session, "▀")); /* cells are letters */
    assert_false(has_output(&session, "\033[38;5;"));
    assert_false(has_output(&session, "\033[48;5;"));
    session_close(&session);
}

static void test_a_terminal_nobody_knows(void **state)
{
    const char *const arguments[] = { small_file(), NULL };
    struct session session;
    int status;

    (void)state;
    session_start(&session, "no-such-terminal", true, arguments);
    status = session_end(&session);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(has_output(&session, "legend")); /* the snapshot instead */
    assert_false(has_output(&session, "\033["));
    session_close(&session);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_q_quits),
        cmocka_unit_test(test_interrupts_give_the_terminal_back),
        cmocka_unit_test(test_a_crash_gives_the_terminal_back),
        cmocka_unit_test(test_a_terminal_that_goes_away),
        cmocka_unit_test(test_it_outlives_its_reader),
        cmocka_unit_test(test_the_reader_goes_with_it),
        cmocka_unit_test(test_any_size),
        cmocka_unit_test(test_any_keys),
        cmocka_unit_test(test_the_file_may_do_what_it_likes),
        cmocka_unit_test(test_for_so_long),
        cmocka_unit_test(test_without_colours),
        cmocka_unit_test(test_a_terminal_nobody_knows),
    };

    command_find(count, arguments);
    return run_test_list(list);
}
