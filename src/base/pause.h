/* SPDX-License-Identifier: MIT */
/* pause.h - what to do between two looks at a word that another processor will write. */
#ifndef VERSO_SRC_PAUSE_H
#define VERSO_SRC_PAUSE_H

static inline void verso__pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" : : : "memory");
#endif
}

#endif
