/*
 * The test program: runs the suites of suites.def, or those named on the command line.
 *
 *     tests/check_sfumato [--list | --jobs N] [SUITE...]
 *
 * Each test runs in a process of its own (CK_FORK=no: all in this one, for debuggers and valgrind).
 * Without --jobs there is one worker, or, for the whole suite, one for each processor: a process that takes
 * suites, one after another, until none is left.
 */
#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/backends.h"

#define SUITE(name) Suite *suite_##name(void);
#include "tests/suites.def"
#undef SUITE

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
#define SUITE(name) {#name, suite_##name},
#include "tests/suites.def"
#undef SUITE
};

enum { N_SUITES = sizeof suites / sizeof suites[0] };

/* A test that hangs is killed after so long; slow tools set CK_TIMEOUT_MULTIPLIER. */
#define SECONDS_PER_TEST "120"

#define MOST_JOBS 64
#define N_SLOWEST 8

/* ---- the work, and what has come of it: memory that all workers share ---- */

typedef struct workload {
    int chosen[N_SUITES];
    int n_chosen;
    atomic_int n_taken;
    atomic_int n_checks, n_failures, n_errors, n_left_out;
    atomic_bool is_running[N_SUITES];
    double seconds[N_SUITES];
} workload;

static workload *share(const workload *wanted) {
    workload *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    memcpy(shared, wanted, sizeof *shared);
    return shared;
}

static void count(workload *work, SRunner *runner) {
    TestResult **results = srunner_results(runner);
    int n = srunner_ntests_run(runner);
    for (int i = 0; i < n; i++) {
        work->n_failures += tr_rtype(results[i]) == CK_FAILURE;
        work->n_errors += tr_rtype(results[i]) == CK_ERROR;
    }
    work->n_checks += n;
    free(results);
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void run_suite(workload *work, int suite) {
    double start = seconds_now();
    int n_left_out = opencl_n_left_out();
    work->is_running[suite] = true;
    SRunner *runner = srunner_create(suites[suite].make());
    srunner_run_all(runner, CK_SILENT);
    if (srunner_ntests_failed(runner) > 0)
        srunner_print(runner, CK_NORMAL);
    fflush(stdout);
    count(work, runner);
    srunner_free(runner);
    work->n_left_out += opencl_n_left_out() - n_left_out;
    work->is_running[suite] = false;
    work->seconds[suite] = seconds_now() - start;
}

static void run_until_done(workload *work) {
    for (int i; (i = atomic_fetch_add(&work->n_taken, 1)) < work->n_chosen;)
        run_suite(work, work->chosen[i]);
}

/* ---- workers ---- */

static void start_workers(workload *work, int n_jobs) {
    fflush(stdout);
    for (int i = 0; i < n_jobs; i++) {
        pid_t worker = fork();
        if (worker == 0) {
            run_until_done(work);
            exit(EXIT_SUCCESS);
        }
        if (worker < 0)
            perror("fork");
    }
}

static void tell_of_lost(workload *work) {
    for (int i = 0; i < N_SUITES; i++)
        if (work->is_running[i]) {
            printf("%s did not come to its end\n", suites[i].name);
            work->n_errors++;
            work->n_checks++;
        }
}

/* A worker that was killed took a suite with it. */
static void await_workers(workload *work) {
    int status;
    while (wait(&status) > 0)
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
            printf("a worker ended with status %#x\n", (unsigned)status);
            work->n_errors++;
            work->n_checks++;
        }
    tell_of_lost(work);
    run_until_done(work); /* where there was no worker */
}

static void print_slowest(workload *work) {
    for (int place = 0; place < N_SLOWEST && place < work->n_chosen; place++) {
        int slowest = 0;
        for (int i = 1; i < N_SUITES; i++)
            if (work->seconds[i] > work->seconds[slowest])
                slowest = i;
        printf("%s%s %.1f s", place ? ", " : "the slowest: ", suites[slowest].name,
               work->seconds[slowest]);
        work->seconds[slowest] = -1;
    }
    printf("\n");
}

/* As Check's own last line. */
static int summarize(const workload *work) {
    int n = work->n_checks, bad = work->n_failures + work->n_errors;
    printf("%d%%: Checks: %d, Failures: %d, Errors: %d\n", n ? 100 * (n - bad) / n : 100, n,
           work->n_failures, work->n_errors);
    return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(const workload *wanted, int n_jobs) {
    workload *work = share(wanted);
    double start = seconds_now();
    test_backends_tell();
    opencl_is_there(); /* looked up once, for all workers */
    if (n_jobs > 1)
        start_workers(work, n_jobs);
    await_workers(work);
    opencl_tell(work->n_left_out);
    printf("%d suites in %.1f s\n", work->n_chosen, seconds_now() - start);
    print_slowest(work);
    int status = summarize(work);
    munmap(work, sizeof *work);
    return status;
}

/* ---- the command line ---- */

/* The library is not installed yet: this is where its parts are. What the caller set stays. */
static void set_environment(void) {
    setenv("SFUMATO_PLUGIN_PATH", SF_TEST_BUILD_DIR "/plugins/.libs", 0);
    setenv("SFUMATO_DATA_PATH", SF_TEST_SOURCE_DIR "/data", 0);
    setenv("CK_DEFAULT_TIMEOUT", SECONDS_PER_TEST, 0);
    setenv("XDG_CACHE_HOME", SF_TEST_BUILD_DIR "/tests/cache", 0); /* compiled kernels */
    setenv("POCL_CACHE_DIR", SF_TEST_BUILD_DIR "/tests/cache/pocl", 0);
}

static int refuse(const char *program, const char *what, const char *name) {
    fprintf(stderr, "%s: %s %s; --list names the suites\n", program, what, name);
    return 2;
}

static int find_suite(const char *name) {
    for (int i = 0; i < N_SUITES; i++)
        if (strcmp(suites[i].name, name) == 0)
            return i;
    return -1;
}

static int print_names(void) {
    for (int i = 0; i < N_SUITES; i++)
        puts(suites[i].name);
    return EXIT_SUCCESS;
}

/* Debuggers want one process. */
static int usual_jobs(const workload *wanted) {
    const char *forks = getenv("CK_FORK");
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (wanted->n_chosen > 0 || (forks && strcmp(forks, "no") == 0) || n < 1)
        return 1;
    return n < MOST_JOBS ? (int)n : MOST_JOBS;
}

int main(int argc, char **argv) {
    workload wanted = {.n_chosen = 0};
    int n_jobs = 0, first = 1;
    set_environment();
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return print_names();
    if (argc >= 3 && strcmp(argv[1], "--jobs") == 0) {
        n_jobs = atoi(argv[2]);
        first = 3;
        if (n_jobs < 1 || n_jobs > MOST_JOBS)
            return refuse(argv[0], "no number of jobs:", argv[2]);
    }
    for (int i = first; i < argc && wanted.n_chosen < N_SUITES; i++) {
        int suite = find_suite(argv[i]);
        if (suite < 0)
            return refuse(argv[0], "no suite", argv[i]);
        wanted.chosen[wanted.n_chosen++] = suite;
    }
    if (n_jobs == 0)
        n_jobs = usual_jobs(&wanted);
    for (int i = 0; first == argc && i < N_SUITES; i++)
        wanted.chosen[wanted.n_chosen++] = i;
    return run(&wanted, n_jobs);
}
