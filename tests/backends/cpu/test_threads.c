/*
 * The threads of the cpu plugin: every item of a job once, jobs of several callers at once, one pool in
 * a process; and how many threads there are. Meant to be run under ThreadSanitizer too.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/cpu/pool.h"
#include "backends/cpu/threads.h"
#include "tests/backends/cpu/cpu_test.h"
#include "tests/support/scratch.h"

Suite *suite_backends_cpu_threads(void);

#define MOST_ITEMS 20000

/* ---- jobs ---- */

typedef struct job {
    _Atomic int counts[MOST_ITEMS]; /* how often each item came */
    _Atomic int n_at_work, most_at_work;
    _Atomic int n_shared; /* tasks that found another in their scratch memory */
} job;

static void raise_to(_Atomic int *most, int n) {
    int seen = atomic_load(most);
    while (seen < n && !atomic_compare_exchange_weak(most, &seen, n))
        continue;
}

/* Writes plain numbers into scratch: ThreadSanitizer sees it where two tasks do so at once. */
static void count_item(void *user, int64_t item, cpu_thread *thread) {
    job *work = user;
    int64_t *mine = (int64_t *)thread->scratch;
    raise_to(&work->most_at_work, atomic_fetch_add(&work->n_at_work, 1) + 1);
    mine[0] = item;
    mine[CPU_SCRATCH_BYTES / sizeof *mine - 1] = item;
    atomic_fetch_add(&work->counts[item], 1);
    if (mine[0] != item || mine[CPU_SCRATCH_BYTES / sizeof *mine - 1] != item)
        atomic_fetch_add(&work->n_shared, 1);
    atomic_fetch_sub(&work->n_at_work, 1);
}

static job *new_job(void) {
    job *made = calloc(1, sizeof *made);
    ck_assert_ptr_nonnull(made);
    return made;
}

/* NULL: all is well. No Check calls: it is for threads. */
static const char *find_fault(const job *work, int64_t n_items, int times) {
    for (int64_t i = 0; i < MOST_ITEMS; i++)
        if (atomic_load(&work->counts[i]) != (i < n_items ? times : 0))
            return "an item came too often or not at all";
    return atomic_load(&work->n_shared) ? "two tasks in one scratch memory" : NULL;
}

START_TEST(every_item_comes_once) {
    static const int thread_counts[] = {1, 2, 3, 8};
    static const int64_t item_counts[] = {0, 1, 2, 3, 7, 100, MOST_ITEMS};
    for (int i = 0; i < 4; i++) {
        cpu_test test;
        ck_assert(cpu_test_open(&test, 0, thread_counts[i]));
        for (int k = 0; k < 7; k++) {
            job *work = new_job();
            cpu_parallel(&test.backend, item_counts[k], count_item, work);
            const char *fault = find_fault(work, item_counts[k], 1);
            ck_assert_msg(!fault, "%d threads: %s", thread_counts[i], fault);
            ck_assert_int_eq(atomic_load(&work->n_at_work), 0);
            ck_assert_int_le(atomic_load(&work->most_at_work), thread_counts[i]);
            free(work);
        }
        cpu_test_close(&test);
    }
}
END_TEST

/* ---- a fork ---- */

/* The exit status of a fork: 0 if all is well. It has no workers to wait for. */
static int work_in_fork(cpu_test *test) {
    job *work = calloc(1, sizeof *work);
    alarm(20);
    if (!work)
        return 2;
    cpu_parallel(&test->backend, 100, count_item, work);
    cpu_test_close(test);
    return find_fault(work, 100, 1) ? 1 : 0;
}

START_TEST(a_fork_works_alone) {
    int status;
    cpu_test test;
    job *work = new_job();
    ck_assert(cpu_test_open(&test, 0, 3));
    cpu_parallel(&test.backend, 100, count_item, work);
    pid_t child = fork();
    if (child == 0)
        _exit(work_in_fork(&test));
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    free(work);
    cpu_test_close(&test);
}
END_TEST

/* ---- all threads take part ---- */

typedef struct meeting {
    _Atomic int n_come;
    int n_wanted;
} meeting;

/* Does not end before all have come. */
static void meet(void *user, int64_t item, cpu_thread *thread) {
    meeting *m = user;
    (void)item;
    (void)thread;
    atomic_fetch_add(&m->n_come, 1);
    while (atomic_load(&m->n_come) < m->n_wanted)
        sched_yield();
}

/* Hangs where a thread that spins or sleeps is not called. */
START_TEST(all_threads_come_to_a_job) {
    static const useconds_t pauses[] = {0, 50, 20000}; /* microseconds: workers spin, then sleep */
    cpu_test test;
    ck_assert(cpu_test_open(&test, 0, 4));
    for (int i = 0; i < 30; i++) {
        meeting m = {.n_wanted = 4};
        usleep(pauses[i % 3]);
        cpu_parallel(&test.backend, 4, meet, &m);
        ck_assert_int_eq(atomic_load(&m.n_come), 4);
    }
    cpu_test_close(&test);
}
END_TEST

/* ---- several callers ---- */

#define N_CALLERS 4
#define N_ROUNDS  60

typedef struct caller {
    pthread_t thread;
    sf_host host;
    cpu_pool *pool; /* NULL: each round takes and gives back one of its own */
    const char *fault;
} caller;

static sf_status silent_fail(const sf_host *host, sf_status status, const char *format, ...) {
    (void)host;
    (void)format;
    return status;
}

static void *call_often(void *user) {
    caller *self = user;
    cpu_thread own = {.scratch = aligned_alloc(64, CPU_SCRATCH_BYTES)};
    for (int i = 0; i < N_ROUNDS && !self->fault; i++) {
        cpu_pool *pool = self->pool;
        job *work = calloc(1, sizeof *work);
        int64_t n_items = i % 4 == 3 ? 1000 : i % 4;
        if (!work || (!pool && cpu_pool_acquire(&self->host, 3, &pool) != SF_OK)) {
            self->fault = "out of memory";
            free(work);
            break;
        }
        for (int k = 0; k < 3; k++)
            cpu_pool_run(pool, &own, n_items, count_item, work);
        self->fault = find_fault(work, n_items, 3);
        if (!self->pool)
            cpu_pool_release(pool);
        free(work);
    }
    free(own.scratch);
    return NULL;
}

static void call_from_threads(cpu_pool *pool) {
    caller callers[N_CALLERS];
    for (int i = 0; i < N_CALLERS; i++) {
        callers[i] = (caller){.pool = pool, .host = {.fail = silent_fail}};
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < N_CALLERS; i++) {
        ck_assert_int_eq(pthread_join(callers[i].thread, NULL), 0);
        ck_assert_msg(!callers[i].fault, "%s", callers[i].fault);
    }
}

/* More callers than threads, and fewer. */
START_TEST(callers_share_a_pool) {
    static const int thread_counts[] = {1, 2, 6};
    cpu_test test;
    ck_assert(cpu_test_open(&test, 0, thread_counts[_i]));
    call_from_threads(test.backend.pool);
    cpu_test_close(&test);
}
END_TEST

START_TEST(pools_come_and_go_in_threads) {
    call_from_threads(NULL);
}
END_TEST

START_TEST(a_process_has_one_pool) {
    sf_host host = {.fail = silent_fail};
    cpu_pool *first, *second;
    ck_assert_int_eq(cpu_pool_acquire(&host, 3, &first), SF_OK);
    ck_assert_int_eq(cpu_pool_acquire(&host, 5, &second), SF_OK);
    ck_assert_ptr_eq(first, second);
    cpu_pool_release(first);
    ck_assert_int_eq(cpu_pool_n_threads(second), 3);
    cpu_pool_release(second);
    ck_assert_int_eq(cpu_pool_acquire(&host, 5, &first), SF_OK); /* the last one freed it */
    ck_assert_int_eq(cpu_pool_n_threads(first), 5);
    cpu_pool_release(first);
}
END_TEST

/* ---- how many ---- */

static const struct {
    const char *wanted;
    int n_threads; /* 0: refused */
} wishes[] = {
    {"1", 1},
    {"3", 3},
    {"1024", CPU_MOST_THREADS},
    {"1025", 0},
    {"0", 0},
    {"-1", 0},
    {"two", 0},
    {"2x", 0},
    {"2 ", 0},
    {"1.5", 0},
    {" ", 0},
    {"0x4", 0},
    {"99999999999999999999", 0},
};

static sf_status keep_message(const sf_host *host, sf_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(host->user, 256, format, arguments);
    va_end(arguments);
    return status;
}

START_TEST(the_environment_says_how_many) {
    char message[256] = "", wanted[300];
    sf_host host = {.fail = keep_message, .user = message};
    int n_threads = -7;
    setenv("SFUMATO_THREADS", wishes[_i].wanted, 1);
    sf_status status = cpu_count_threads(&host, &n_threads);
    unsetenv("SFUMATO_THREADS");
    if (wishes[_i].n_threads) {
        ck_assert_msg(status == SF_OK, "%s", message);
        ck_assert_int_eq(n_threads, wishes[_i].n_threads);
        return;
    }
    snprintf(wanted, sizeof wanted, "SFUMATO_THREADS is \"%s\"; a number from 1 to 1024 is wanted",
             wishes[_i].wanted);
    ck_assert_int_eq(status, SF_ERROR_ARGUMENT);
    ck_assert_str_eq(message, wanted);
    ck_assert_int_eq(n_threads, -7);
}
END_TEST

/* In a process of its own, for the mask stays. */
static int count_on_first_processor(void) {
    cpu_set_t mask, one;
    sf_host host = {.fail = silent_fail};
    int n_threads = 0, processor = 0;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0)
        return 101;
    while (!CPU_ISSET(processor, &mask))
        processor++;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0 ||
        cpu_count_threads(&host, &n_threads) != SF_OK)
        return 102;
    return n_threads;
}

START_TEST(processors_out_of_reach_do_not_count) {
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(count_on_first_processor());
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
}
END_TEST

/* ---- control groups ---- */

/* /proc/self/cgroup, and up to two files below its mounts. */
static const struct {
    const char *groups;
    const char *files[4][2];
    int limit;
} groups[] = {
    {"0::/a/b\n", {{"a/b/cpu.max", "250000 100000\n"}}, 3},
    {"0::/a/b\n", {{"a/cpu.max", "200000 100000\n"}, {"a/b/cpu.max", "max 100000\n"}}, 2},
    {"0::/a/b\n", {{"a/cpu.max", "900000 100000\n"}, {"a/b/cpu.max", "50000 100000\n"}}, 1},
    {"0::/a/b\n", {{"a/b/cpu.max", "max 100000\n"}}, 0},
    {"0::/a/b\n", {{"a/b/cpu.max", "400000\n"}}, 0},
    {"0::/a/b\n", {{"a/b/cpu.max", "400000 0\n"}}, 0},
    {"0::/a/b\n", {{"a/b/cpu.max", "9000000000000000000 1\n"}}, CPU_MOST_THREADS},
    {"0::/\n", {{"cpu.max", "400000 100000\n"}}, 4},
    {"0::/elsewhere\n", {{"cpu.max", "400000 100000\n"}}, 4},
    {"5:memory:/a\n4:cpu,cpuacct:/a/b\n0::/\n",
     {{"cpu/a/b/cpu.cfs_quota_us", "500000\n"}, {"cpu/a/b/cpu.cfs_period_us", "100000\n"}},
     5},
    {"4:cpuacct,cpu:/a\n",
     {{"cpu/cpu.cfs_quota_us", "150000\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}},
     2},
    {"4:cpu:/a\n",
     {{"cpu/a/cpu.cfs_quota_us", "-1\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
     0},
    {"4:cpuset:/a\n",
     {{"cpu/a/cpu.cfs_quota_us", "100000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
     0},
    {"nonsense\n7:\n:\n\n", {{"cpu.max", "100000 100000\n"}}, 0},
    {"", {{NULL, NULL}}, 0},
};

/* The folders that lead to a file of the scratch folder. */
static void make_folders(const char *name) {
    char folder[64];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
        mkdir(scratch(folder), 0777);
    }
}

START_TEST(control_groups_limit_the_processors) {
    scratch_write("groups", groups[_i].groups, strlen(groups[_i].groups));
    for (int i = 0; i < 4 && groups[_i].files[i][0]; i++) {
        const char *const *file = groups[_i].files[i];
        make_folders(file[0]);
        scratch_write(file[0], file[1], strlen(file[1]));
    }
    ck_assert_int_eq(cpu_limit_of_groups(scratch("groups"), scratch("")), groups[_i].limit);
    ck_assert_int_eq(cpu_limit_of_groups(scratch("absent"), scratch("")), 0);
}
END_TEST

Suite *suite_backends_cpu_threads(void) {
    Suite *suite = suite_create("backends_cpu_threads");
    TCase *tcase = tcase_create("threads");
    tcase_add_test(tcase, every_item_comes_once);
    tcase_add_test(tcase, a_fork_works_alone);
    tcase_add_test(tcase, all_threads_come_to_a_job);
    tcase_add_loop_test(tcase, callers_share_a_pool, 0, 3);
    tcase_add_test(tcase, pools_come_and_go_in_threads);
    tcase_add_test(tcase, a_process_has_one_pool);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("how many");
    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tcase, the_environment_says_how_many, 0, sizeof wishes / sizeof *wishes);
    tcase_add_test(tcase, processors_out_of_reach_do_not_count);
    tcase_add_loop_test(tcase, control_groups_limit_the_processors, 0,
                        sizeof groups / sizeof *groups);
    suite_add_tcase(suite, tcase);
    return suite;
}
