/*
 * Compiled programs are kept below XDG_CACHE_HOME: written once, then used; and whatever is wrong with
 * the folder or a file in it, kernels are compiled and nothing fails.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_opencl_cache(void);

static char *kept_cache, *kept_home, *kept_folder;

static char *keep(const char *name) {
    const char *value = getenv(name);
    return value ? strdup(value) : NULL;
}

static void restore(const char *name, char *kept) {
    unsetenv(name);
    if (kept)
        setenv(name, kept, 1);
    free(kept);
}

static void setup(void) {
    kept_cache = keep("XDG_CACHE_HOME");
    kept_home = keep("HOME");
    kept_folder = getcwd(NULL, 0);
    scratch_setup();
    setenv("XDG_CACHE_HOME", scratch("cache"), 1);
}

static void teardown(void) {
    restore("XDG_CACHE_HOME", kept_cache);
    restore("HOME", kept_home);
    ck_assert_int_eq(chdir(kept_folder), 0);
    free(kept_folder);
    scratch_teardown();
}

/* Files that a fresh context compiles to run a kernel, whose result is right. */
static uint64_t count_builds(void) {
    sf_context *ctx = opencl_context(1);
    sf_plan *plan = opencl_silu_plan(ctx, 100);
    opencl_check_silu(ctx, plan);
    uint64_t n_builds = opencl_counters(ctx).n_builds;
    sf_plan_free(plan);
    sf_context_free(ctx);
    return n_builds;
}

/* The one file of a folder of the scratch folder; "" where it has none. */
static const char *only_file(const char *folder) {
    static char path[PATH_MAX];
    struct dirent *entry;
    int n_files = 0;
    DIR *dir = opendir(scratch(folder));
    path[0] = '\0';
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", scratch(folder), entry->d_name);
        n_files++;
    }
    if (dir)
        closedir(dir);
    ck_assert_int_le(n_files, 1);
    return path;
}

START_TEST(what_was_compiled_is_used_again) {
    ck_assert_uint_eq(count_builds(), 1);
    ck_assert_str_ne(only_file("cache/sfumato"), "");
    ck_assert_uint_eq(count_builds(), 0);
    ck_assert_uint_eq(count_builds(), 0);
}
END_TEST

/* Other options of the compiler are another program. */
START_TEST(the_key_has_the_options) {
    ck_assert_uint_eq(count_builds(), 1);
    setenv("SFUMATO_OPENCL_OPTIONS", "-DUNUSED", 1);
    uint64_t n_builds = count_builds();
    unsetenv("SFUMATO_OPENCL_OPTIONS");
    ck_assert_uint_eq(n_builds, 1);
    ck_assert_uint_eq(count_builds(), 0);
}
END_TEST

/* ---- damage ---- */

enum { CUT_SHORT, CUT_IN_HEAD, EMPTY, OTHER_BYTE, OTHER_SIZE, OTHER_MAGIC, LONGER, N_DAMAGES };

static void damage(const char *path, int how) {
    size_t bytes;
    char *text = test_read_file(path, &bytes);
    ck_assert_uint_gt(bytes, 64);
    if (how == OTHER_BYTE)
        text[bytes / 2] = (char)~text[bytes / 2];
    else if (how == OTHER_SIZE)
        memset(text + 8, 0xff, 8);
    else if (how == OTHER_MAGIC)
        text[0] = 'X';
    static const size_t kept[N_DAMAGES] = {[CUT_SHORT] = 60, [CUT_IN_HEAD] = 10, [EMPTY] = 0};
    size_t n = how <= EMPTY ? kept[how] : bytes;
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, n, file), n);
    if (how == LONGER)
        ck_assert_int_ge(fputs("more", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    free(text);
}

START_TEST(a_damaged_file_is_written_anew) {
    ck_assert_uint_eq(count_builds(), 1);
    damage(only_file("cache/sfumato"), _i);
    ck_assert_uint_eq(count_builds(), _i == LONGER ? 0 : 1);
    ck_assert_uint_eq(count_builds(), 0);
}
END_TEST

/* The head is right, and the driver is given what is no program. */
START_TEST(a_file_that_the_driver_refuses_is_compiled) {
    ck_assert_uint_eq(count_builds(), 1);
    const char *path = only_file("cache/sfumato");
    unsigned char file[24 + 64] = "SFCLBIN1";
    uint64_t bytes = 64, hash = UINT64_C(0xcbf29ce484222325);
    memset(file + 24, 'x', 64);
    for (int i = 24; i < 24 + 64; i++)
        hash = (hash ^ file[i]) * UINT64_C(0x100000001b3);
    memcpy(file + 8, &bytes, 8);
    memcpy(file + 16, &hash, 8);
    FILE *to = fopen(path, "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(file, 1, sizeof file, to), sizeof file);
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_uint_eq(count_builds(), 1);
    ck_assert_uint_eq(count_builds(), 0);
}
END_TEST

/* ---- folders ---- */

START_TEST(without_a_folder_nothing_fails) {
    static const char *const places[] = {"/proc/nowhere", "/dev/null", "/dev/null/below"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        setenv("XDG_CACHE_HOME", places[i], 1);
        ck_assert_uint_eq(count_builds(), 1);
        ck_assert_uint_eq(count_builds(), 1);
    }
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    ck_assert_uint_eq(count_builds(), 1);
}
END_TEST

START_TEST(a_folder_in_the_place_of_the_file_is_no_failure) {
    ck_assert_uint_eq(count_builds(), 1);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", only_file("cache/sfumato"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_uint_eq(count_builds(), 1);
    ck_assert_uint_eq(count_builds(), 1);
    ck_assert_str_eq(only_file("cache/sfumato"), path); /* no temporary file is left */
}
END_TEST

/* https://specifications.freedesktop.org/basedir: relative paths are ignored, ~/.cache is the default. */
START_TEST(relative_folders_are_ignored) {
    static const char *const values[] = {"relative", "", "./relative", NULL};
    ck_assert_int_eq(chdir(scratch("")), 0);
    setenv("HOME", scratch("home"), 1);
    for (int i = 0; i < 4; i++) {
        unsetenv("XDG_CACHE_HOME");
        if (values[i])
            setenv("XDG_CACHE_HOME", values[i], 1);
        ck_assert_uint_eq(count_builds(), i == 0);
        ck_assert_int_ne(access("relative", F_OK), 0);
        ck_assert_int_ne(access("sfumato", F_OK), 0);
        ck_assert_str_ne(only_file("home/.cache/sfumato"), "");
    }
    setenv("HOME", "relative", 1);
    ck_assert_uint_eq(count_builds(), 1);
    ck_assert_int_ne(access("relative", F_OK), 0);
}
END_TEST

Suite *suite_backends_gpu_opencl_cache(void) {
    Suite *suite = suite_create("backends_gpu_opencl_cache");
    TCase *tcase = tcase_create("cache");
    tcase_add_checked_fixture(tcase, setup, teardown);
    opencl_add_test(tcase, what_was_compiled_is_used_again, 1);
    opencl_add_test(tcase, the_key_has_the_options, 1);
    opencl_add_test(tcase, a_damaged_file_is_written_anew, N_DAMAGES);
    opencl_add_test(tcase, a_file_that_the_driver_refuses_is_compiled, 1);
    opencl_add_test(tcase, without_a_folder_nothing_fails, 1);
    opencl_add_test(tcase, a_folder_in_the_place_of_the_file_is_no_failure, 1);
    opencl_add_test(tcase, relative_folders_are_ignored, 1);
    suite_add_tcase(suite, tcase);
    return suite;
}
