/* SPDX-License-Identifier: MIT */
/*
 * fixup.h - code that may fault, and where it goes on then.
 *
 * The kernel's own way of touching user memory: beside the code lies a table with a row for each stretch of
 * instructions that may fault, and the place to go on at. Without a fault the table is never looked at, so it costs
 * nothing. After one, registers are as the faulting instruction found them: a loop's pointers say how far it came.
 *
 *      asm volatile("1: rep movsb\n"
 *                   "2:\n"
 *                   VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_EXACT)
 *                   : "+D"(target), "+S"(source), "+c"(left) : : "memory");
 *      // left != 0: byte number (bytes - left) could not be had
 *
 * Any object file may add rows; the linker puts them side by side. They are relative to themselves, so they need no
 * relocation at load time and stay read-only.
 *
 * The stretch must not change the stack pointer, and must leave what the code at the landing needs in registers that it
 * has named as outputs or clobbered.
 */
#ifndef VERSO_SRC_GUARD_FIXUP_H
#define VERSO_SRC_GUARD_FIXUP_H

#include <stdint.h>

/* What a fault in the stretch means. */
#define VERSO__FIXUP_EXACT 0   /* this very byte can't be had: the range is marked torn */
#define VERSO__FIXUP_BLOCKED 1 /* somewhere in a block of bytes: finer code will try again, and find out */
#define VERSO__FIXUP_TOLD 2    /* the same, and rax or x16 tells the landing the address that could not be had */

#define VERSO__FIXUP_TEXT_(x) #x
#define VERSO__FIXUP_TEXT(x) VERSO__FIXUP_TEXT_(x)

/* One row: a fault in [begin, end) goes on at landing. Labels as strings; kind is a constant of the above. */
#define VERSO__FIXUP(begin, end, landing, kind) \
    ".pushsection verso_fixups,\"aR\"\n"        \
    ".balign 4\n"                               \
    ".long " begin " - .\n"                     \
    ".long " end " - .\n"                       \
    ".long " landing " - .\n"                   \
    ".long " VERSO__FIXUP_TEXT(kind) "\n"       \
                                     ".popsection\n"

/* Where to go on after a fault at @pc, and of what kind it is; 0 when no row covers it. Async-signal-safe. */
uintptr_t verso__guard_landing(uintptr_t pc, unsigned *out_kind);

#endif
