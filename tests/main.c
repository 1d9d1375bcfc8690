/*
 * The test program: runs the suites of suites.def, or those named on the command line.
 *
 *     tests/check_sfumato [--list | SUITE...]
 *
 * Each test runs in a process of its own (CK_FORK=no: all in this one, for debuggers and valgrind).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* The library is not installed yet: this is where its parts are. What the caller set stays. */
static void set_environment(void) {
    setenv("SFUMATO_PLUGIN_PATH", SF_TEST_BUILD_DIR "/plugins/.libs", 0);
    setenv("SFUMATO_DATA_PATH", SF_TEST_SOURCE_DIR "/data", 0);
    setenv("CK_DEFAULT_TIMEOUT", SECONDS_PER_TEST, 0);
    setenv("XDG_CACHE_HOME", SF_TEST_BUILD_DIR "/tests/cache", 0); /* compiled kernels */
    setenv("POCL_CACHE_DIR", SF_TEST_BUILD_DIR "/tests/cache/pocl", 0);
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

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Check's summary is the last line. CK_XML_LOG_FILE_NAME=FILE gives the time of each test. */
static int run(SRunner *runner, const int *chosen, int n_chosen) {
    for (int i = 0; i < n_chosen; i++)
        srunner_add_suite(runner, suites[chosen[i]].make());
    double start = seconds_now();
    test_backends_tell();
    opencl_tell();
    srunner_run_all(runner, CK_SILENT);
    printf("%d suites in %.1f s\n", n_chosen, seconds_now() - start);
    if (srunner_ntests_failed(runner) > 0)
        srunner_print(runner, CK_NORMAL);
    srunner_print(runner, CK_MINIMAL);
    return srunner_ntests_failed(runner) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    int chosen[N_SUITES];
    int n_chosen = 0;
    set_environment();
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return print_names();
    for (int i = 1; i < argc && n_chosen < N_SUITES; i++) {
        chosen[n_chosen] = find_suite(argv[i]);
        if (chosen[n_chosen++] < 0) {
            fprintf(stderr, "%s: no suite %s; --list names them\n", argv[0], argv[i]);
            return 2;
        }
    }
    for (int i = 0; argc == 1 && i < N_SUITES; i++)
        chosen[n_chosen++] = i;
    SRunner *runner = srunner_create(NULL);
    int status = run(runner, chosen, n_chosen);
    srunner_free(runner);
    return status;
}
