/* SPDX-License-Identifier: MIT */
/*
 * watch_live - the loop: update, draw, wait for a key or the next tick.
 *
 * However it ends, the terminal is given back: by return, by Ctrl-C and SIGTERM (which only set a flag, see main.c),
 * and on a crash or Ctrl-\ by a handler that writes what was prepared when all was well.
 */
#include "watch_live.h"
#include "output.h"
#include "watch_help.h"
#include "watch_screen.h"

#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#define SECOND_NS 1e9
#define MESSAGE_NS UINT64_C(5000000000)
#define BUDGET_SHARE 0.03 /* of the interval, for pages; as much for processes */
#define START_SHARE 0.5   /* in the first second: what is there is found at once */
#define START_TENTHS 10
#define FOLLOW_NS UINT64_C(500000000) /* a sentence that changes faster can't be read */

/* ---- The terminal, and giving it back ---- */

static const int crash_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT };

static struct {
    struct termios settings;
    char leave[128];    /* what curses writes at its end */
    size_t leave_bytes; /* 0: there is nothing to give back */
} rescue;

/* Only calls that a signal handler may make; then the crash goes on as it would have. */
static void on_crash(int signal_number)
{
    ssize_t written = rescue.leave_bytes ? write(STDOUT_FILENO, rescue.leave, rescue.leave_bytes) : 0;

    (void)written;
    if (rescue.leave_bytes)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &rescue.settings);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static void rescue_add(const char *sequence)
{
    size_t bytes = sequence ? strlen(sequence) : 0;

    if (bytes > 0 && rescue.leave_bytes + bytes <= sizeof(rescue.leave)) {
        memcpy(rescue.leave + rescue.leave_bytes, sequence, bytes);
        rescue.leave_bytes += bytes;
    }
}

/* Before the fault guard is installed (with the first update): then that one hands on what is not its own. Once is
 * enough for the program's life. Handlers that others have put there, sanitizers for example, stay. */
static void rescue_prepare(void)
{
    struct sigaction action = { .sa_handler = on_crash, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER) }, before;

    rescue.leave_bytes = 0;
    rescue_add(exit_attribute_mode);
    rescue_add(cursor_normal);
    rescue_add(keypad_local);
    rescue_add(exit_ca_mode);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(crash_signals) / sizeof(crash_signals[0]); i++)
        if (sigaction(crash_signals[i], NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) &&
            before.sa_handler == SIG_DFL)
            (void)sigaction(crash_signals[i], &action, NULL);
}

/* Whether curses knows the terminal. Asked first, because newterm() leaks what it had made when it does not. */
static bool terminal_is_known(void)
{
    int error;

    if (setupterm(NULL, STDOUT_FILENO, &error) == ERR)
        return false;
    (void)del_curterm(cur_term);
    return true;
}

static SCREEN *terminal_start(void)
{
    SCREEN *terminal;

    if (tcgetattr(STDIN_FILENO, &rescue.settings) < 0 || !terminal_is_known())
        return NULL;
    terminal = newterm(NULL, stdout, stdin); /* not initscr(): that one ends the program on failure */
    if (!terminal)
        return NULL;
    rescue_prepare();
    set_escdelay(25);
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)curs_set(0);
    (void)keypad(stdscr, TRUE);
    return terminal;
}

static void terminal_end(SCREEN *terminal)
{
    (void)mousemask(0, NULL);
    (void)endwin();
    delscreen(terminal);
    rescue.leave_bytes = 0;
}

/* ---- The loop ---- */

struct live {
    struct watch_model *model;
    struct watch_reader *reader;
    const struct live_options *options;
    struct screen screen;
    struct control control;
    struct stage stage;
    uint64_t interval_ns;
    uint64_t end_ns; /* UINT64_MAX: none */
    uint64_t message_until_ns;
    uint64_t follow_ns;
    uint64_t cost_wall_ns; /* when own cost was last taken */
    uint64_t cost_cpu_ns;
    bool has_mouse;
};

static void say(struct live *live, const char *message)
{
    live->screen.message = message;
    live->message_until_ns = watch_clock_ns() + MESSAGE_NS;
}

/* Own cost over the last second. */
static void take_cost(struct live *live)
{
    uint64_t wall_ns = watch_clock_ns(), cpu_ns = watch_cpu_ns();

    if (wall_ns - live->cost_wall_ns < (uint64_t)SECOND_NS)
        return;
    if (live->cost_wall_ns != 0)
        live->screen.cpu_percent =
            (double)(cpu_ns - live->cost_cpu_ns) * 100.0 / (double)(wall_ns - live->cost_wall_ns);
    live->cost_wall_ns = wall_ns;
    live->cost_cpu_ns = cpu_ns;
}

static void look_after_reader(struct live *live)
{
    if (live->reader->pid > 0 && !reader_runs(live->reader))
        say(live, "the reader has ended; what it left is shown");
    if (live->screen.message && watch_clock_ns() > live->message_until_ns)
        live->screen.message = NULL;
}

/* The furthest page that the chosen process has touched. */
static void follow(struct live *live)
{
    const struct watch_process *process;
    uint64_t page_bytes = live->model->page_bytes, furthest = 0;

    if (!live->control.follows || live->model->process_count == 0 || live->model->now_ns < live->follow_ns)
        return;
    process = &live->model->processes[live->control.process];
    for (size_t i = 0; i < process->mapping_count; i++) {
        const struct watch_mapping *mapping = &process->mappings[i];
        uint64_t page;

        if (mapping->run_count == 0)
            continue;
        page = (mapping->runs[mapping->run_count - 1].end - mapping->start + mapping->offset_bytes) / page_bytes - 1;
        if (page > furthest)
            furthest = page;
    }
    control_go(&live->control, furthest, &live->stage);
    live->follow_ns = live->model->now_ns + FOLLOW_NS;
}

static void update(struct live *live)
{
    double share = watch_tenths(live->model) < START_TENTHS ? START_SHARE : BUDGET_SHARE;
    struct update update = {
        .window = live->control.window,
        .budget_ns = (uint64_t)((double)live->interval_ns * share),
        .frozen = live->control.is_paused,
    };

    watch_update(live->model, &update);
    look_after_reader(live);
    take_cost(live);
}

static void draw(struct live *live)
{
    screen_fit(&live->screen, live->model, &live->stage);
    control_fit(&live->control, &live->stage);
    if (!live->control.is_paused)
        follow(live);
    screen_draw(&live->screen, live->model, &live->control);
}

static void set_mouse(struct live *live)
{
    if (live->has_mouse == live->control.wants_mouse)
        return;
    live->has_mouse = live->control.wants_mouse;
    (void)mousemask(live->has_mouse ? ALL_MOUSE_EVENTS | REPORT_MOUSE_POSITION : 0, NULL);
    say(live, live->has_mouse ? "mouse: click to point, wheel to zoom; m gives it back to the terminal"
                              : "the mouse is the terminal's again");
}

static void on_mouse(struct live *live)
{
    MEVENT event;

    if (getmouse(&event) == ERR)
        return;
    if (event.bstate & BUTTON4_PRESSED)
        control_act(&live->control, ACTION_ZOOM_IN, &live->stage);
    else if (event.bstate & BUTTON5_PRESSED)
        control_act(&live->control, ACTION_ZOOM_OUT, &live->stage);
    else {
        live->control.follows = false;
        control_point(&live->control, event.x - live->screen.layout.gutter, &live->stage);
    }
}

/* Whether the terminal has gone away, its window closed: reading it ends at once then, for ever. */
static bool terminal_is_gone(void)
{
    struct pollfd terminal = { .fd = STDIN_FILENO, .events = POLLIN };

    return poll(&terminal, 1, 0) == 1 && (terminal.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* No longer than a second, and a signal that comes just before it is seen soon enough. */
static int wait_ms(uint64_t wait_ns)
{
    return wait_ns < (uint64_t)SECOND_NS ? (int)(wait_ns / 1000000) + 1 : 1000;
}

/* Handles keys until the next tick; draws after each, so that moving feels immediate. */
static void wait_for_tick(struct live *live, uint64_t tick_ns)
{
    while (!live->control.must_quit && !interrupted()) {
        uint64_t now_ns = watch_clock_ns();
        int key;

        if (now_ns >= tick_ns)
            return;
        timeout(wait_ms(tick_ns - now_ns));
        key = getch();
        if (key == ERR) {
            live->control.must_quit |= terminal_is_gone();
            continue;
        }
        if (key == KEY_MOUSE)
            on_mouse(live);
        else
            control_act(&live->control, help_action(key), &live->stage); /* a resize is no key, but draws anew */
        set_mouse(live);
        draw(live);
    }
}

static void loop(struct live *live)
{
    uint64_t tick_ns = watch_clock_ns();

    while (!live->control.must_quit && !interrupted() && tick_ns < live->end_ns) {
        uint64_t now_ns;

        update(live);
        draw(live);
        tick_ns += live->interval_ns;
        now_ns = watch_clock_ns();
        if (tick_ns < now_ns) /* a slow machine: drop ticks rather than run after them */
            tick_ns = now_ns;
        wait_for_tick(live, tick_ns < live->end_ns ? tick_ns : live->end_ns);
    }
}

bool live_run(struct watch_model *model, struct watch_reader *reader, const struct live_options *options)
{
    struct live live = { .model = model, .reader = reader, .options = options, .end_ns = UINT64_MAX };
    SCREEN *terminal = terminal_start();

    if (!terminal)
        return false;
    live.interval_ns = (uint64_t)(options->interval_seconds * SECOND_NS);
    if (options->for_seconds > 0)
        live.end_ns = watch_clock_ns() + (uint64_t)(options->for_seconds * SECOND_NS);
    paint_start(&live.screen.paint, options->wants_color);
    live.screen.cpu_percent = -1;
    live.control.follows = options->follows;
    live.control.window.page_count = watch_page_count(model);
    loop(&live);
    terminal_end(terminal);
    screen_clear(&live.screen);
    return true;
}
