/* Ring and stack of C11 atomics. */
#include "base/queue.h"

#include "base/mem.h"

struct ring *
ring_new(void)
{
    return mem_zalloc(sizeof(struct ring));
}

bool
ring_put(struct ring *r, void *item)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&r->head, memory_order_acquire) >= RING_SIZE)
        return false;
    atomic_store_explicit(&r->items[tail & (RING_SIZE - 1)], item, memory_order_relaxed);
    atomic_store_explicit(&r->tail, tail + 1,
                          memory_order_seq_cst); /* before the producer looks for sleepers */
    return true;
}

void *
ring_take(struct ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    for (;;) {
        if (head == atomic_load_explicit(&r->tail, memory_order_seq_cst))
            return NULL;
        void *item = atomic_load_explicit(&r->items[head & (RING_SIZE - 1)], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&r->head, &head, head + 1, memory_order_acq_rel,
                                                  memory_order_relaxed))
            return item; /* nobody has written over the place: the producer waits for head */
    }
}

size_t
ring_count(const struct ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    return tail > head ? tail - head : 0;
}

void
stack_push(struct stack *s, struct node *n)
{
    n->next = atomic_load_explicit(&s->top, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&s->top, &n->next, n, memory_order_seq_cst,
                                                  memory_order_relaxed))
        ;
}

struct node *
stack_take(struct stack *s)
{
    struct node *n = NULL, *reversed = NULL;
    if (atomic_load_explicit(&s->top, memory_order_relaxed))
        n = atomic_exchange_explicit(&s->top, NULL, memory_order_acquire);
    while (n) {
        struct node *next = n->next;
        n->next = reversed;
        reversed = n;
        n = next;
    }
    return reversed;
}

void
stack_give_back(struct stack *s, struct node *list)
{
    for (struct node *next; list; list = next) {
        next = list->next;
        stack_push(s, list);
    }
}
