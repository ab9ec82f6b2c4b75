/* SPDX-License-Identifier: MIT */
/* walk_stack.h - work that threads put on and take off, the latest first. */
#ifndef VERSO_CLI_WALK_STACK_H
#define VERSO_CLI_WALK_STACK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct directory; /* the walk's own */

/* Some names in one directory. */
struct walk_work {
    struct directory *directory; /* NULL: a name given to the walk */
    char *names;                 /* one after the other, each with its NUL; of directories, with a slash at their end */
    size_t names_bytes;
    size_t root;
};

struct walk_stack {
    pthread_mutex_t lock;
    pthread_cond_t more;    /* there is work, or all is done */
    pthread_cond_t drained; /* nothing is on the stack nor in work */
    struct walk_work *works;
    size_t count;
    size_t room;
    size_t in_work;
    atomic_uint idle_count;
    bool ended;
};

#define WALK_STACK_INIT                                                                                          \
    {                                                                                                            \
        .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .drained = PTHREAD_COND_INITIALIZER \
    }

void walk_stack_put(struct walk_stack *stack, const struct walk_work *work);

/* Waits for work; false when there will be none. */
bool walk_stack_take(struct walk_stack *stack, struct walk_work *out_work);

/* What was taken is done with. */
void walk_stack_done(struct walk_stack *stack);

/* Whether somebody waits for work. Cheap. */
bool walk_stack_is_wanted(struct walk_stack *stack);

/* Waits until all that was put has been done. */
void walk_stack_drain(struct walk_stack *stack);

/* Those who wait for work go home. */
void walk_stack_end(struct walk_stack *stack);

void walk_stack_clear(struct walk_stack *stack);

#endif
