/*
 * The two queues between a lane and its slots. No lock and no wake-up per item.
 *
 *   ring   one producer, many consumers: the lane publishes work, slots take it one by one with a
 *          compare-and-swap
 *   stack  many producers, one consumer: slots push what is done, the lane takes all at once (a
 *          Treiber stack; taking all has no ABA problem)
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { RING_SIZE = 1 << 16 };

struct ring {
    _Alignas(64) _Atomic size_t head; /* next to take */
    _Alignas(64) _Atomic size_t tail; /* next to fill */
    _Alignas(64) _Atomic(void *) items[RING_SIZE];
};

struct ring *ring_new(void);                       /* NULL: out of memory; mem_free it */
bool         ring_put(struct ring *r, void *item); /* false: full */
void        *ring_take(struct ring *r);            /* NULL: empty */
size_t       ring_count(const struct ring *r);     /* a snapshot */

struct node {
    struct node *next;
};

struct stack {
    _Alignas(64) _Atomic(struct node *) top;
};

void         stack_push(struct stack *s, struct node *n);
struct node *stack_take(struct stack *s); /* all, in the order in which they were pushed */
void         stack_give_back(struct stack *s, struct node *list); /* pushes each */

#endif
