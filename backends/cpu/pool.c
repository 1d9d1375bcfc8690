/*
 * The thread pool. See pool.h.
 *
 * A job is on its caller's stack and in the pool's list while it has items that nobody has taken.
 * Workers look at the list, spin for a moment when it is empty (steps of a plan follow each other
 * within microseconds), then sleep.
 *
 * Memory is the C library's: the pool belongs to no context.
 */
#include "backends/cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SPINS 4000 /* some 50 to 200 microseconds */

typedef struct job {
    cpu_task task;
    void *user;
    int64_t n_items;
    _Atomic int64_t next_item;
    _Atomic int n_helpers; /* workers in it; raised under the pool's lock */
    struct job *next;      /* in the list */
} job;

typedef struct worker {
    pthread_t thread;
    cpu_pool *pool;
    cpu_thread own;
} worker;

struct cpu_pool {
    pid_t process; /* that has the workers: a fork of it has none */
    int n_threads;
    worker *workers; /* n_threads - 1 */
    int n_workers;   /* started */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    job *jobs;              /* under lock */
    _Atomic int n_jobs;     /* of the list */
    _Atomic int n_active;   /* callers and workers at work */
    _Atomic bool finishing; /* written under lock */
    int n_sleeping;         /* under lock */
    int n_users;            /* under the_lock */
};

static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;
static cpu_pool *the_pool;

static void pause_a_moment(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- work ---- */

/* Takes items until there are none, or as long as `stay` says. */
static void work_on(job *work, cpu_pool *pool, cpu_thread *thread, bool is_caller) {
    while (is_caller || atomic_load(&pool->n_active) <= pool->n_threads) {
        int64_t item = atomic_fetch_add(&work->next_item, 1);
        if (item >= work->n_items)
            return;
        work->task(work->user, item, thread);
    }
}

/* Under the lock: a job with items left that a worker may join now. */
static job *find_job(cpu_pool *pool) {
    if (atomic_load(&pool->n_active) >= pool->n_threads)
        return NULL;
    for (job *work = pool->jobs; work; work = work->next)
        if (atomic_load(&work->next_item) < work->n_items)
            return work;
    return NULL;
}

/* Whether there was something to do. */
static bool help(cpu_pool *pool, cpu_thread *own) {
    if (atomic_load(&pool->n_active) >= pool->n_threads)
        return false;
    pthread_mutex_lock(&pool->lock);
    job *work = find_job(pool);
    if (work) {
        atomic_fetch_add(&work->n_helpers, 1);
        atomic_fetch_add(&pool->n_active, 1);
    }
    pthread_mutex_unlock(&pool->lock);
    if (!work)
        return false;
    work_on(work, pool, own, false);
    atomic_fetch_sub(&pool->n_active, 1);
    atomic_fetch_sub_explicit(&work->n_helpers, 1, memory_order_release);
    return true;
}

/* There are jobs, but not for this worker: callers keep all processors busy. */
static void doze(void) {
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void sleep_until_woken(cpu_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->n_sleeping++;
    while (!pool->jobs && !atomic_load(&pool->finishing))
        pthread_cond_wait(&pool->wake, &pool->lock);
    pool->n_sleeping--;
    pthread_mutex_unlock(&pool->lock);
}

static void *be_a_worker(void *argument) {
    worker *self = argument;
    cpu_pool *pool = self->pool;
    int spins = 0;
    while (!atomic_load(&pool->finishing)) {
        bool has_jobs = atomic_load(&pool->n_jobs) > 0;
        if (has_jobs && help(pool, &self->own)) {
            spins = 0;
        } else if (++spins < SPINS) {
            pause_a_moment();
        } else if (has_jobs) {
            doze();
        } else {
            sleep_until_woken(pool);
            spins = 0;
        }
    }
    return NULL;
}

static void add_job(cpu_pool *pool, job *work) {
    pthread_mutex_lock(&pool->lock);
    work->next = pool->jobs;
    pool->jobs = work;
    atomic_fetch_add(&pool->n_jobs, 1);
    if (pool->n_sleeping)
        pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void remove_job(cpu_pool *pool, job *work) {
    pthread_mutex_lock(&pool->lock);
    job **link = &pool->jobs;
    while (*link != work)
        link = &(*link)->next;
    *link = work->next;
    atomic_fetch_sub(&pool->n_jobs, 1);
    pthread_mutex_unlock(&pool->lock);
    for (int spins = 0; atomic_load_explicit(&work->n_helpers, memory_order_acquire); spins++)
        spins < SPINS ? pause_a_moment() : (void)sched_yield();
}

void cpu_pool_run(cpu_pool *pool, cpu_thread *caller, int64_t n_items, cpu_task task, void *user) {
    job work = {.task = task, .user = user, .n_items = n_items};
    atomic_fetch_add(&pool->n_active, 1);
    bool shared = n_items > 1 && pool->n_workers > 0 && pool->process == getpid();
    if (shared)
        add_job(pool, &work);
    work_on(&work, pool, caller, true);
    if (shared)
        remove_job(pool, &work);
    atomic_fetch_sub(&pool->n_active, 1);
}

/* ---- the process' pool ---- */

int cpu_pool_n_threads(const cpu_pool *pool) {
    return pool->n_threads;
}

int cpu_pool_size(void) {
    pthread_mutex_lock(&the_lock);
    int n = the_pool ? the_pool->n_threads : 1;
    pthread_mutex_unlock(&the_lock);
    return n;
}

/* In a fork of the process the workers and what they wait for are not there. */
static void stop(cpu_pool *pool) {
    if (pool->process != getpid()) {
        free(pool->workers);
        free(pool);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->finishing, true);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_workers; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        free(pool->workers[i].own.scratch);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

/* A thread that can't be had is done without: fewer threads give the same results. */
static void start_workers(cpu_pool *pool) {
    for (int i = 0; i < pool->n_threads - 1; i++) {
        worker *made = &pool->workers[i];
        *made = (worker){.pool = pool,
                         .own = {.scratch = aligned_alloc(64, CPU_SCRATCH_BYTES), .index = i + 1}};
        if (!made->own.scratch || pthread_create(&made->thread, NULL, be_a_worker, made) != 0) {
            free(made->own.scratch);
            return;
        }
        pool->n_workers++;
    }
}

static cpu_pool *start(int n_threads) {
    cpu_pool *pool = malloc(sizeof *pool);
    worker *workers = malloc((size_t)n_threads * sizeof *workers);
    if (!pool || !workers) {
        free(pool);
        free(workers);
        return NULL;
    }
    *pool = (cpu_pool){.process = getpid(), .n_threads = n_threads, .workers = workers};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    start_workers(pool);
    return pool;
}

sf_status cpu_pool_acquire(const sf_host *host, int n_threads, cpu_pool **pool) {
    sf_status status = SF_OK;
    pthread_mutex_lock(&the_lock);
    if (!the_pool)
        the_pool = start(n_threads);
    if (the_pool) {
        the_pool->n_users++;
        *pool = the_pool;
    } else {
        status = host->fail(host, SF_ERROR_MEMORY, "out of memory: %d threads", n_threads);
    }
    pthread_mutex_unlock(&the_lock);
    return status;
}

void cpu_pool_release(cpu_pool *pool) {
    pthread_mutex_lock(&the_lock);
    if (--pool->n_users == 0) {
        stop(pool);
        the_pool = NULL;
    }
    pthread_mutex_unlock(&the_lock);
}
