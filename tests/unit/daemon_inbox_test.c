// The lock-free inbox: order, and nothing lost or doubled with many producers.
#include "daemon/inbox.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#define PRODUCERS 4
#define ITEMS 20000

struct note {
    uint32_t producer, number;
    struct inbox_item item;
};

struct producer {
    struct inbox *inbox;
    struct note *notes;
    pthread_t thread;
};

static void *produce(void *argument) {
    struct producer *producer = argument;
    for (uint32_t i = 0; i < ITEMS; i++) inbox_push(producer->inbox, &producer->notes[i].item);
    return NULL;
}

Test(inbox, empty_gives_nothing) {
    struct inbox inbox;
    inbox_init(&inbox);
    cr_assert_null(inbox_take(&inbox));
}

Test(inbox, gives_items_in_the_order_they_came) {
    struct inbox inbox;
    struct note notes[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    inbox_init(&inbox);
    for (size_t i = 0; i < 3; i++) inbox_push(&inbox, &notes[i].item);
    struct inbox_item *item = inbox_take(&inbox);
    for (uint32_t i = 0; i < 3; i++, item = item->next)
        cr_assert_eq(INBOX_OWNER(item, struct note, item)->number, i);
    cr_assert_null(item);
    cr_assert_null(inbox_take(&inbox));
}

Test(inbox, loses_and_doubles_nothing_with_many_producers, .timeout = 60) {
    struct inbox inbox;
    struct producer producers[PRODUCERS];
    uint32_t expected[PRODUCERS] = {0}, taken = 0;
    inbox_init(&inbox);
    for (uint32_t p = 0; p < PRODUCERS; p++) {
        producers[p].inbox = &inbox;
        producers[p].notes = calloc(ITEMS, sizeof(struct note));
        for (uint32_t i = 0; i < ITEMS; i++) {
            producers[p].notes[i].producer = p;
            producers[p].notes[i].number = i;
        }
    }
    for (uint32_t p = 0; p < PRODUCERS; p++)
        cr_assert_eq(pthread_create(&producers[p].thread, NULL, produce, &producers[p]), 0);
    while (taken < PRODUCERS * ITEMS) {
        struct inbox_item *item = inbox_take(&inbox);
        if (item == NULL) sched_yield();
        for (; item != NULL; item = item->next, taken++) {
            struct note *note = INBOX_OWNER(item, struct note, item);
            cr_assert_eq(note->number, expected[note->producer], "producer %u", note->producer);
            expected[note->producer]++;
        }
    }
    for (uint32_t p = 0; p < PRODUCERS; p++) {
        pthread_join(producers[p].thread, NULL);
        free(producers[p].notes);
    }
    cr_assert_null(inbox_take(&inbox));
}
