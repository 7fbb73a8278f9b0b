/* Threads of the runtime: named, with a small stack, and deaf to signals (the loop thread takes them all). */
#ifndef MIRAI_THREAD_H
#define MIRAI_THREAD_H

#include <pthread.h>
#include <stddef.h>

#define MIRAI_THREAD_STACK (1u << 20) /* bytes; enough for SQLite, MeCab and Argon2 frames */

/* Start `run(data)`. name: at most 15 bytes, shown by ps -L. 0, or MIRAI_E_INTERNAL when the system refuses;
 * join it with pthread_join. */
int mirai_thread_start(pthread_t *thread, const char *name, void *(*run)(void *data), void *data);

/* A condition variable whose pthread_cond_timedwait reads CLOCK_MONOTONIC: a clock that is set must not end a
 * wait. */
void mirai_cond_init(pthread_cond_t *cond);

/* Absolute CLOCK_MONOTONIC time `ms` from now, for pthread_cond_timedwait. */
struct timespec mirai_cond_deadline(unsigned ms);

#endif
