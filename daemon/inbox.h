// A many-producer, one-consumer list without locks: producers push, the loop takes everything at
// once.
//
// inbox_push   any thread, also from transport callbacks; never blocks, never allocates
// inbox_take   loop thread only; returns the items in the order they were pushed
//
// Items are embedded in what they carry and belong to the inbox from push until take.
#ifndef XNORD_INBOX_H
#define XNORD_INBOX_H

#include <stdatomic.h>
#include <stddef.h>

struct inbox_item {
    struct inbox_item *next;
};

struct inbox {
    _Atomic(struct inbox_item *) newest;
};

// The struct that embeds an inbox item as `member`.
#define INBOX_OWNER(item, type, member) ((type *)(void *)((char *)(item)-offsetof(type, member)))

void inbox_init(struct inbox *inbox);
void inbox_push(struct inbox *inbox, struct inbox_item *item);
// NULL when empty.
struct inbox_item *inbox_take(struct inbox *inbox);

#endif
