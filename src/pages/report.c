/* SPDX-License-Identifier: MIT */
/*
 * report - the line that a crash leaves behind.
 *
 *      SIGSEGV --> who answers (clone.h)   no --> this line --> the earlier action: a handler, a core dump
 *      SIGBUS  --> who answers (guard.h)   no --> this line --> the earlier action
 *
 * On the faulting thread's stack, which may be an alternate one of a few KiB.
 */
#include "pages/describe.h"
#include "pages/text.h"

#include <errno.h>
#include <string.h>

#define LINE_BYTES 768

static atomic_int report_fd = -1;
static atomic_int reporting; /* the thread that is at it; a fault of its own is not reported */

static enum verso_pages_try attempt_of(unsigned access)
{
    switch (access) {
    case VERSO__OS_ACCESS_READ:
        return VERSO_PAGES_TRY_READ;
    case VERSO__OS_ACCESS_WRITE:
        return VERSO_PAGES_TRY_WRITE;
    case VERSO__OS_ACCESS_EXEC:
        return VERSO_PAGES_TRY_EXECUTE;
    default:
        return VERSO_PAGES_TRY_UNKNOWN;
    }
}

static void add_what(struct verso__text *text, const struct verso__os_fault *fault)
{
    pid_t process, thread;

    verso__os_identity(&process, &thread);
    verso__text_add(text, "verso: pid ");
    verso__text_add_number(text, (uint64_t)process);
    verso__text_add(text, ", thread ");
    verso__text_add_number(text, (uint64_t)thread);
    verso__text_add(text, fault->signal == VERSO__OS_FAULT_SEGV ? ": SIGSEGV" : ": SIGBUS");
    switch (attempt_of(fault->access)) {
    case VERSO_PAGES_TRY_READ:
        verso__text_add(text, " reading ");
        break;
    case VERSO_PAGES_TRY_WRITE:
        verso__text_add(text, " writing ");
        break;
    case VERSO_PAGES_TRY_EXECUTE:
        verso__text_add(text, " executing ");
        break;
    default:
        verso__text_add(text, " at ");
        break;
    }
}

/* "from 0x55d0c0401a2b in app+0x1a2b": as addr2line and objdump take it. */
static void add_code(struct verso__text *text, uintptr_t pc)
{
    struct verso__os_neighbours around;
    const char *base;

    verso__text_add(text, ", from ");
    verso__text_add_hex(text, pc);
    if (verso__os_neighbours(pc, &around) < 0 || !around.at.name[0])
        return;
    base = strrchr(around.at.name, '/');
    verso__text_add(text, " in ");
    verso__text_add_name(text, base ? base + 1 : around.at.name);
    verso__text_add(text, "+");
    verso__text_add_hex(text, pc - around.at.start + around.at.offset);
}

static void add_description(struct verso__text *text, const struct verso__os_fault *fault)
{
    const struct verso__pages_question question = { (uintptr_t)fault->address, attempt_of(fault->access), fault->cause,
                                                    fault->stack_pointer };
    struct verso__pages_facts facts;
    int r = verso__pages_find_out(&question, &facts);

    if (r < 0) {
        verso__text_add(text, "what stands there can't be seen: ");
        verso__text_add(text, verso_error_name(r));
        return;
    }
    verso__pages_put_in_words(&facts, text->at, (size_t)(text->last - text->at) + 1);
    text->at += strlen(text->at);
}

/* The processor keeps an address to itself that its page tables could not hold. */
static bool has_address(const struct verso__os_fault *fault)
{
    return fault->cause != VERSO__OS_FAULT_OTHER || fault->address;
}

/* The whole line; its length. */
static size_t put_together(const struct verso__os_fault *fault, char line[LINE_BYTES])
{
    struct verso__text text;

    verso__text_begin(&text, line, LINE_BYTES - 1);
    add_what(&text, fault);
    if (has_address(fault))
        verso__text_add_hex(&text, (uintptr_t)fault->address);
    else
        verso__text_add(&text, "an address that this machine has not (not canonical)");
    add_code(&text, *fault->pc);
    verso__text_add(&text, ": ");
    if (has_address(fault))
        add_description(&text, fault);
    else
        verso__text_add(&text, "a corrupted pointer");
    *text.at++ = '\n';
    return (size_t)(text.at - line);
}

static bool report(const struct verso__os_fault *fault)
{
    char line[LINE_BYTES];
    pid_t process, thread;
    int nobody = 0;

    verso__os_identity(&process, &thread);
    if (!atomic_compare_exchange_strong(&reporting, &nobody, (int)thread) && nobody == (int)thread)
        return false;
    (void)verso__os_write(atomic_load(&report_fd), line, put_together(fault, line)); /* nobody is left to be told */
    if (nobody == 0)
        atomic_store(&reporting, 0);
    return false;
}

/*
 * What is called for the first time may be looked up by the dynamic linker then, which takes as much stack as all of
 * the report, and an alternate one has no room for both. So it is done once where there is room.
 */
static void rehearse(void)
{
    uintptr_t pc = 0;
    const struct verso__os_fault fault = { .address = &pc, .pc = &pc };
    char line[LINE_BYTES];

    (void)put_together(&fault, line);
}

int verso_pages_report_install(int fd)
{
    unsigned mode;
    int r = verso__os_open_mode(fd, &mode);

    if (r == 0 && !(mode & VERSO__OS_OPEN_WRITE))
        r = -EBADF;
    if (r < 0)
        return verso__fail(r, "fcntl", NULL);
    rehearse();
    r = verso__os_fault_install(VERSO__OS_FAULT_SEGV, VERSO__OS_FAULT_REPORTS, report);
    if (r == 0) {
        r = verso__os_fault_install(VERSO__OS_FAULT_BUS, VERSO__OS_FAULT_REPORTS, report);
        if (r < 0)
            (void)verso__os_fault_remove(VERSO__OS_FAULT_SEGV, VERSO__OS_FAULT_REPORTS);
    }
    if (r < 0)
        return verso__fail(r, "sigaction", NULL);
    atomic_store(&report_fd, fd);
    return 0;
}

int verso_pages_report_remove(void)
{
    int segv = verso__os_fault_remove(VERSO__OS_FAULT_SEGV, VERSO__OS_FAULT_REPORTS);
    int bus = verso__os_fault_remove(VERSO__OS_FAULT_BUS, VERSO__OS_FAULT_REPORTS);
    int r = segv < 0 ? segv : bus;

    if (r == -EBUSY || r == -EINVAL)
        r = VERSO_E_GUARD;
    return r < 0 ? verso__fail(r, "sigaction", NULL) : 0;
}
