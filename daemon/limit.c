#include "limit.h"

void limit_init(struct limit *limit) {
    pthread_mutex_init(&limit->mutex, NULL);
    limit->late_ns = UINT64_MAX;
    limit->stopped = false;
    atomic_init(&limit->cancel, false);
}

void limit_destroy(struct limit *limit) {
    pthread_mutex_destroy(&limit->mutex);
}

void limit_begin(struct limit *limit, uint64_t late_ns) {
    pthread_mutex_lock(&limit->mutex);
    limit->late_ns = late_ns;
    atomic_store(&limit->cancel, limit->stopped);
    pthread_mutex_unlock(&limit->mutex);
}

void limit_end(struct limit *limit) {
    pthread_mutex_lock(&limit->mutex);
    limit->late_ns = UINT64_MAX;
    pthread_mutex_unlock(&limit->mutex);
}

void limit_check(struct limit *limit, uint64_t now_ns) {
    pthread_mutex_lock(&limit->mutex);
    if (now_ns >= limit->late_ns) atomic_store(&limit->cancel, true);
    pthread_mutex_unlock(&limit->mutex);
}

void limit_stop(struct limit *limit) {
    pthread_mutex_lock(&limit->mutex);
    limit->stopped = true;
    atomic_store(&limit->cancel, true);
    pthread_mutex_unlock(&limit->mutex);
}
