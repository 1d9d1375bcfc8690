/*
 * The threads of the cpu plugin: one pool in a process, however many backends are open, so that
 * contexts that run at the same time share the processors instead of fighting for them.
 *
 * A caller works on its own job; free workers join it. No more threads work at once than the pool
 * has, callers included: with all processors busy with callers, workers stay out.
 */
#ifndef SF_BACKENDS_CPU_POOL_H
#define SF_BACKENDS_CPU_POOL_H

#include "sfumato_plugin.h"

typedef struct cpu_pool cpu_pool;

/* One thread's scratch memory, of CPU_SCRATCH_BYTES, aligned to 64 bytes; contents do not last. */
typedef struct cpu_thread {
    char *scratch;
    int index; /* among those that work on a call: 0 is the caller, workers are below the pool's size */
} cpu_thread;

#define CPU_SCRATCH_BYTES (UINT64_C(3) << 20)

typedef void (*cpu_task)(void *user, int64_t item, cpu_thread *thread);

/*
 * The process' pool, made with n_threads by the first and freed by the last of those who acquired it.
 * Safe from any thread.
 */
sf_status cpu_pool_acquire(const sf_host *host, int n_threads, cpu_pool **pool);
void cpu_pool_release(cpu_pool *pool);
int cpu_pool_n_threads(const cpu_pool *pool);

/*
 * The size of the process' pool, 1 where there is none. It does not change while a backend is open, so
 * that memory can be planned by it.
 */
int cpu_pool_size(void);

/* See cpu_parallel() in cpu.h. */
void cpu_pool_run(cpu_pool *pool, cpu_thread *caller, int64_t n_items, cpu_task task, void *user);

#endif
