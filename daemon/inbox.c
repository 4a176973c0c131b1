#include "inbox.h"

void inbox_init(struct inbox *inbox) {
    atomic_init(&inbox->newest, NULL);
}

// A Treiber stack. There is no ABA problem: the only removal takes the whole stack.
void inbox_push(struct inbox *inbox, struct inbox_item *item) {
    struct inbox_item *newest = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do {
        item->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &newest, item,
                                                    memory_order_release, memory_order_relaxed));
}

struct inbox_item *inbox_take(struct inbox *inbox) {
    struct inbox_item *item = atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acquire);
    struct inbox_item *oldest = NULL;
    while (item != NULL) {
        struct inbox_item *older = item->next;
        item->next = oldest;
        oldest = item;
        item = older;
    }
    return oldest;
}
