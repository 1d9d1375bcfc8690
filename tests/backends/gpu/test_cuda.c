/*
 * The cuda plugin as it was built, run by the command: with the stand-in for CUDA's libraries
 * (standin/standin.h) and, where `nvidia-smi` finds a GPU, with the real ones. What goes wrong on a
 * machine - no driver, no memory, a device that is lost - is made to go wrong in the stand-in.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/pictures.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_cuda(void);

#if TEST_CUDA
#include <cublas_api.h>

#define TEXT_OF(x) TEXT(x)
#define TEXT(x)    #x

#define DRIVER_FILE "libcuda.so.1"
#define BLAS_FILE   "libcublasLt.so." TEXT_OF(CUBLAS_VER_MAJOR)

/* ---- running with the stand-in or with a GPU ---- */

enum machine { STANDIN, GPU, N_MACHINES };

static bool has_gpu(void) {
    return system("nvidia-smi -L 2>/dev/null | grep -q GPU") == 0;
}

static void link_library(const char *built, const char *folder, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(symlink(test_build(built), scratch(path)), 0);
}

#define BUILT_DRIVER "tests/backends/gpu/standin/.libs/cuda.so"
#define BUILT_BLAS   "tests/backends/gpu/standin/.libs/cublaslt.so"

/* lib: the stand-in; no_blas: without the product library; broken, old: drivers that are none. */
static void setup(void) {
    static const char *const folders[] = {"lib", "no_blas", "broken", "old"};
    cli_setup();
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        ck_assert_int_eq(mkdir(scratch(folders[i]), 0700), 0);
    link_library(BUILT_DRIVER, "lib", DRIVER_FILE);
    link_library(BUILT_BLAS, "lib", BLAS_FILE);
    link_library(BUILT_DRIVER, "no_blas", DRIVER_FILE);
    scratch_write("no_blas/" BLAS_FILE, "no library", 10);
    scratch_write("broken/" DRIVER_FILE, "no library", 10);
    link_library(BUILT_BLAS, "old", DRIVER_FILE);
}

/* The count of that name in the stand-in's report. */
static unsigned long reported(const char *name) {
    char *text = test_read_file(scratch("report"), NULL);
    const char *found = strstr(text, name);
    ck_assert_msg(found, "no %s in: %s", name, text);
    unsigned long count = strtoul(found + strlen(name), NULL, 10);
    free(text);
    return count;
}

/* With the libraries of a folder of setup(), and one more setting or NULL. */
static void run_with(struct command_result *result, const char *folder, const char *setting,
                     const char *const *arguments) {
    char libraries[512], report[512];
    snprintf(libraries, sizeof libraries, "LD_LIBRARY_PATH=%s", scratch(folder));
    snprintf(report, sizeof report, "STANDIN_REPORT=%s", scratch("report"));
    cli_run_command(
        result, (struct command){.arguments = arguments,
                                 .environment = (const char *[]){"SFUMATO_BACKEND=cuda", libraries,
                                                                 report, setting, NULL},
                                 .timeout_seconds = 300});
}

static void run_on(enum machine machine, struct command_result *result,
                   const char *const *arguments) {
    if (machine == STANDIN)
        run_with(result, "lib", NULL, arguments);
    else
        cli_run_command(
            result, (struct command){.arguments = arguments,
                                     .environment = (const char *[]){"SFUMATO_BACKEND=cuda", NULL},
                                     .timeout_seconds = 300});
    ck_assert_msg(result->status == 0, "exit status %d: %s%s", result->status, result->out,
                  result->err);
    if (machine == STANDIN)
        ck_assert_int_eq(reported("faults"), 0);
}

/* ---- on each machine ---- */

START_TEST(every_supported_case_agrees) {
    struct command_result result;
    run_on((enum machine)_i, &result, CLI_ARGUMENTS("check-backend", "cuda"));
    ck_assert_ptr_nonnull(strstr(result.out, " cases, 0 differ\n"));
    ck_assert_ptr_nonnull(strstr(result.out, "silu "));
    ck_assert_msg(!strstr(result.out, "DIFFERS"), "%s", result.out);
    if (_i == STANDIN)
        ck_assert_int_gt(reported("launches"), 1000);
    command_result_free(&result);
}
END_TEST

START_TEST(driver_does_what_it_says) {
    static const char *const parts[] = {"products", "memory", "launches"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct command_result result;
        const char *const arguments[] = {test_build("tests/backends/gpu/cuda_driver"), parts[i],
                                         NULL};
        run_on((enum machine)_i, &result, arguments);
        ck_assert_str_eq(result.err, "");
        if (_i == STANDIN)
            ck_assert_int_eq(reported("products"), i == 0 ? 60 : 0);
        command_result_free(&result);
    }
}
END_TEST

static sf_image *draw_on(sf_context *ctx, const char *backend, enum machine machine) {
    struct command_result result;
    sf_image *image;
    const char *const arguments[] = {test_build("sfumato"),
                                     "generate",
                                     "a red apple",
                                     "--model",
                                     test_model(""),
                                     "--backend",
                                     backend,
                                     "--steps",
                                     "6",
                                     "--quiet",
                                     "--output",
                                     "picture.png",
                                     NULL};
    run_on(machine, &result, arguments);
    command_result_free(&result);
    ck_ok(ctx, sf_image_load(ctx, scratch("picture.png"), &image));
    ck_assert_int_eq(unlink(scratch("picture.png")), 0);
    return image;
}

START_TEST(draws_what_the_reference_draws) {
    sf_context *ctx = test_context();
    sf_image *wanted = draw_on(ctx, "reference", GPU); /* without the stand-in */
    sf_image *image = draw_on(ctx, "cuda", (enum machine)_i);
    struct picture_difference found = picture_compare(image, wanted);
    ck_assert_msg(found.largest <= 2, "%zu of %zu pixels differ, the largest by %d/255",
                  found.n_different, found.n_pixels, found.largest);
    if (_i == STANDIN)
        ck_assert_int_gt(reported("launches"), 100);
    sf_image_free(image);
    sf_image_free(wanted);
    test_context_free(ctx);
}
END_TEST

/*
 * The same picture in 4.7 MB beside the library's 32 MiB, less than the weights of half types take with what
 * is computed, in which products are the library's. All weights come in through page-locked memory, which is made once.
 */
START_TEST(draws_the_same_in_little_memory) {
    static const char *const limits[] = {"1G", "38300K"};
    const char *draw[] = {test_build("sfumato"),
                          "generate",
                          "a red apple",
                          "--model",
                          test_model(""),
                          "--backend",
                          "cuda",
                          "--steps",
                          "3",
                          "--precision",
                          "f16",
                          "--quiet",
                          "--offload",
                          "--output",
                          "a.png",
                          "--max-device-memory",
                          limits[0],
                          NULL};
    struct command_result result;
    size_t bytes[2];
    char *pictures[2];
    for (int i = 0; i < 2; i++) {
        draw[16] = limits[i];
        run_on(STANDIN, &result, draw);
        command_result_free(&result);
        ck_assert_int_gt(reported("products"), 100);
        pictures[i] = test_read_file(scratch("a.png"), &bytes[i]);
    }
    ck_assert_int_eq(bytes[0], bytes[1]);
    ck_assert_mem_eq(pictures[0], pictures[1], bytes[0]);
    free(pictures[0]);
    free(pictures[1]);
}
END_TEST

/* The suite of components, on this plugin alone, in one process. */
START_TEST(components_agree_with_the_goldens) {
    struct command_result result;
    const char *const arguments[] = {
        "env",        "SFUMATO_TEST_BACKEND=cuda",       "CK_RUN_CASE=goldens",
        "CK_FORK=no", test_build("tests/check_sfumato"), "models_goldens",
        NULL};
    run_on((enum machine)_i, &result, arguments);
    ck_assert_msg(strstr(result.out, "100%: Checks: "), "%s", result.out);
    if (_i == STANDIN)
        ck_assert_int_gt(reported("launches"), 100);
    command_result_free(&result);
}
END_TEST

/* ---- what may go wrong ---- */

#define DRAW                                                                                       \
    CLI_ARGUMENTS("generate", "a red apple", "--steps", "2", "--quiet", "--output", "x.png")

START_TEST(failures_are_told) {
    static const struct {
        const char *folder, *setting, *message;
    } failures[] = {
        {"lib", "STANDIN_DEVICES=0", "CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device"},
        {"lib", "STANDIN_CAPABILITY=61", "its compute capability is 6.1; the plugin was built for"},
        {"lib", "STANDIN_FAIL_ALLOCATION=1", "Stand-in 0 gives no "},
        {"lib", "STANDIN_FAIL_ALLOCATION=3", "Stand-in 0 gives no "},
        {"lib", "STANDIN_MEMORY=2000", "memory"},
        {"lib", "STANDIN_LOSE_DEVICE=1", "CUDA_ERROR_LAUNCH_FAILED (719)"},
        {"lib", "STANDIN_LOSE_DEVICE=9", "the device is lost to this process"},
        {"lib", "SFUMATO_BACKEND=cuda:1", "it has no device 1"},
        {"broken", NULL, "no CUDA driver ("},
        {"old", NULL, "the CUDA driver is too old: it has no cu"},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct command_result result;
        run_with(&result, failures[i].folder, failures[i].setting, DRAW);
        ck_assert_msg(result.status == 1, "%s: exit status %d: %s", failures[i].setting,
                      result.status, result.err);
        ck_assert_msg(strstr(result.err, failures[i].message), "%s: %s", failures[i].setting,
                      result.err);
        ck_assert_int_ne(access(scratch("x.png"), F_OK), 0);
        command_result_free(&result);
    }
}
END_TEST

START_TEST(works_without_the_product_library) {
    struct command_result result;
    run_with(&result, "no_blas", NULL, DRAW);
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_msg(strstr(result.err, "warning: no cuBLAS (") &&
                      strstr(result.err, "matrix products are left to slower kernels"),
                  "%s", result.err);
    ck_assert_int_eq(reported("products"), 0);
    command_result_free(&result);
}
END_TEST

START_TEST(several_devices) {
    struct command_result result;
    run_with(&result, "lib", "STANDIN_DEVICES=2", CLI_ARGUMENTS("backends"));
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_ptr_nonnull(strstr(result.out, "* cuda             Stand-in 0, driver for CUDA "));
    ck_assert_ptr_nonnull(strstr(result.out, "  cuda:1           Stand-in 1, driver for CUDA "));
    ck_assert_ptr_nonnull(strstr(result.out, ", 8.0 GiB, f32 f16 bf16, "));
    command_result_free(&result);
    run_with(
        &result, "lib", "STANDIN_DEVICES=2",
        CLI_ARGUMENTS("generate", "a", "--backend", "cuda:1", "--steps", "1", "--output", "x.png"));
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_int_gt(reported("launches"), 0);
    command_result_free(&result);
}
END_TEST

/* ---- the checks of the stand-in ---- */

START_TEST(standin_sees_misuse) {
    static const struct {
        const char *name, *message; /* NULL: there is nothing to see */
    } misuses[] = {
        {"nothing", NULL},
        {"no_misuse_of_a_product", NULL},
        {"wrong_group", "unary: groups of 128 x 1 x 1"},
        {"wrong_grid", "unary: a grid of 1 x 65536 x 1"},
        {"no_memory", "unary, buffer 1: offset 0 of 4096 bytes"},
        {"offset_outside", "unary, buffer 1: offset 4100 of 4096 bytes"},
        {"writes_behind", "around a block of 4096 bytes was written to; launched last: unary"},
        {"freed_memory", "unary, buffer 0: memory that was freed"},
        {"unknown_kernel", "no kernel \"nonsuch\""},
        {"damaged_binary", "not a fat binary"},
        {"copy_outside", "cuMemcpyHtoDAsync: 64 bytes where a block of 4096 has 32 left"},
        {"freed_twice", "cuMemFree: memory that was freed"},
        {"changed_source", "64 bytes changed on the host before they were on the device"},
        {"changed_before_event", "48 bytes changed on the host before they were on the device"},
        {"changed_after_event", NULL},
        {"leak", "1 blocks of 4096 bytes in all were not freed"},
        {"no_context", "cuStreamSynchronize: the thread has no context"},
        {"wrong_stream", "not a stream of the context"},
        {"never_released", "the context of device 0 was not released"},
        {"short_step", "a layout of type 0, 8 x 4, step 7"},
        {"wrong_sizes", "a product of 7 x 4 and 4 x 4 to 8 x 4"},
        {"result_outside", "c: 128 bytes where a block of 4096 has 64 left"},
        {"unaligned", "but aligned to 16 bytes was said"},
        {"another_algorithm", "an algorithm that was chosen for another product"},
        {"sums_in_half", "may be added up in half precision"},
        {"leaked_layout", "1 descriptions are left"},
    };
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
        struct command_result result;
        const char *const arguments[] = {test_build("tests/backends/gpu/standin/misuse"),
                                         misuses[i].name, NULL};
        run_with(&result, "lib", NULL, arguments);
        ck_assert_msg(result.status == (misuses[i].message ? 86 : 0), "%s: exit status %d: %s",
                      misuses[i].name, result.status, result.err);
        ck_assert_msg(!misuses[i].message || strstr(result.err, misuses[i].message), "%s: %s",
                      misuses[i].name, result.err);
        command_result_free(&result);
    }
}
END_TEST

/* ---- without any of it ---- */

START_TEST(says_that_there_is_no_driver) {
    struct command_result result;
    if (dlopen(DRIVER_FILE, RTLD_LAZY)) /* then there is one */
        return;
    cli_run(&result, "backends", "--backend=reference");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_msg(strstr(result.out, "  cuda             unusable: no CUDA driver (" DRIVER_FILE),
                  "%s", result.out);
    command_result_free(&result);
}
END_TEST

START_TEST(nothing_is_linked) {
    static const char *const files[] = {"plugins/.libs/cuda.so", ".libs/libsfumato.so",
                                        ".libs/sfumato"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct command_result result;
        command_run(&result, (struct command){
                                 .arguments = (const char *[]){"ldd", test_build(files[i]), NULL}});
        ck_assert_msg(result.status == 0, "%s: %s", files[i], result.err);
        ck_assert_ptr_nonnull(strstr(result.out, "libc.so"));
        ck_assert_msg(!strstr(result.out, "libcu") && !strstr(result.out, "OpenCL") &&
                          !strstr(result.out, "clblast"),
                      "%s: %s", files[i], result.out);
        command_result_free(&result);
    }
}
END_TEST

static void add_tests(TCase *cases) {
#if TEST_STANDIN
    int first = STANDIN;
    tcase_add_test(cases, failures_are_told);
    tcase_add_test(cases, draws_the_same_in_little_memory);
    tcase_add_test(cases, works_without_the_product_library);
    tcase_add_test(cases, several_devices);
    tcase_add_test(cases, standin_sees_misuse);
#else
    int first = GPU;
#endif
    int end = has_gpu() ? N_MACHINES : GPU;
    printf("cuda: %s, %s\n", first == STANDIN ? "with the stand-in" : "no stand-in without OpenCL",
           end == N_MACHINES ? "and on a GPU" : "no GPU here");
    tcase_add_loop_test(cases, every_supported_case_agrees, first, end);
    tcase_add_loop_test(cases, driver_does_what_it_says, first, end);
    tcase_add_loop_test(cases, components_agree_with_the_goldens, first, end);
    tcase_add_loop_test(cases, draws_what_the_reference_draws, first, end);
    tcase_add_test(cases, says_that_there_is_no_driver);
    tcase_add_test(cases, nothing_is_linked);
}
#endif

Suite *suite_backends_gpu_cuda(void) {
    Suite *suite = suite_create("backends_gpu_cuda");
#if TEST_CUDA
    TCase *cases = tcase_create("cuda");
    tcase_set_timeout(cases, 300);
    tcase_add_checked_fixture(cases, setup, cli_teardown);
    add_tests(cases);
    suite_add_tcase(suite, cases);
#endif
    return suite;
}
