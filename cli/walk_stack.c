/* SPDX-License-Identifier: MIT */
/* walk_stack - a mutex, two conditions, an array. */
#include "walk_stack.h"
#include "command.h"

#include <stdlib.h>

void walk_stack_put(struct walk_stack *stack, const struct walk_work *work)
{
    pthread_mutex_lock(&stack->lock);
    if (stack->count == stack->room) {
        stack->room = stack->room ? stack->room * 2 : 64;
        stack->works = allocate(stack->works, stack->room, sizeof(*stack->works));
    }
    stack->works[stack->count++] = *work;
    pthread_cond_signal(&stack->more);
    pthread_mutex_unlock(&stack->lock);
}

bool walk_stack_take(struct walk_stack *stack, struct walk_work *out_work)
{
    bool found;

    pthread_mutex_lock(&stack->lock);
    atomic_fetch_add(&stack->idle_count, 1);
    while (stack->count == 0 && !stack->ended)
        pthread_cond_wait(&stack->more, &stack->lock);
    atomic_fetch_sub(&stack->idle_count, 1);
    found = stack->count > 0;
    if (found) {
        *out_work = stack->works[--stack->count];
        stack->in_work++;
    }
    pthread_mutex_unlock(&stack->lock);
    return found;
}

void walk_stack_done(struct walk_stack *stack)
{
    pthread_mutex_lock(&stack->lock);
    if (--stack->in_work == 0 && stack->count == 0)
        pthread_cond_signal(&stack->drained);
    pthread_mutex_unlock(&stack->lock);
}

bool walk_stack_is_wanted(struct walk_stack *stack)
{
    return atomic_load_explicit(&stack->idle_count, memory_order_relaxed) > 0;
}

void walk_stack_drain(struct walk_stack *stack)
{
    pthread_mutex_lock(&stack->lock);
    while (stack->in_work || stack->count)
        pthread_cond_wait(&stack->drained, &stack->lock);
    pthread_mutex_unlock(&stack->lock);
}

void walk_stack_end(struct walk_stack *stack)
{
    pthread_mutex_lock(&stack->lock);
    stack->ended = true;
    pthread_cond_broadcast(&stack->more);
    pthread_mutex_unlock(&stack->lock);
}

void walk_stack_clear(struct walk_stack *stack)
{
    free(stack->works);
    stack->works = NULL;
    stack->count = stack->room = 0;
}
