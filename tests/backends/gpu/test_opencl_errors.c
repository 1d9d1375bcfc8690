/*
 * What goes wrong with OpenCL: no driver, no such device, no memory, kernels that do not compile or run
 * in smaller groups than the device, a device that is lost. Each is told, and ends nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/backend.h"
#include "core/context.h"
#include "plugins/registry.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/support/cli.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_opencl_errors(void);

/* Where no kernel has been compiled before, that takes its time. */
static void run(struct command_result *result, const char *const *arguments,
                const char *const *environment) {
    cli_run_command(result, (struct command){.arguments = arguments,
                                             .environment = environment,
                                             .timeout_seconds = 250});
}

/* ---- no driver, no device ---- */

/* The loader looks for drivers in OCL_ICD_VENDORS (ocl-icd) or OCL_ICD_FILENAMES alone. */
#define NO_DRIVER "OCL_ICD_VENDORS=/nowhere", "OCL_ICD_FILENAMES", "OPENCL_VENDOR_PATH=/nowhere"

START_TEST(without_a_driver_auto_takes_cpu) {
    struct command_result result;
    run(&result, CLI_ARGUMENTS("backends"),
        (const char *[]){NO_DRIVER, "SFUMATO_BACKEND=auto", NULL});
    ck_assert_msg(result.status == 0, "%s", result.err);
    const char *line =
        strstr(result.out, "  opencl           unusable: no OpenCL driver is installed");
    ck_assert_msg(line && strstr(line, "clinfo -l"), "%s", result.out);
    ck_assert_ptr_nonnull(strstr(result.out, "* cpu "));
    command_result_free(&result);
}
END_TEST

START_TEST(without_a_driver_opencl_can_not_be_had) {
    struct command_result result;
    run(&result, CLI_ARGUMENTS("check-backend", "opencl", "--op", "silu"),
        (const char *[]){NO_DRIVER, NULL});
    ck_assert_int_eq(result.status, 1);
    ck_assert_msg(is_one_line(result.err) && strstr(result.err, "no OpenCL driver is installed"),
                  "%s", result.err);
    command_result_free(&result);
}
END_TEST

/* As many devices as there are, and none past them. */
START_TEST(a_device_that_is_not_there_is_told) {
    const sf_backend_info *infos;
    sf_context *ctx = test_context();
    int n, n_devices = 0;
    char wanted[64], message[128];
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    for (int i = 0; i < n; i++)
        n_devices += strncmp(infos[i].name, "opencl", 6) == 0 && !infos[i].reason[0];
    sf_context_free(ctx);
    ck_assert_int_ge(n_devices, 1);
    snprintf(wanted, sizeof wanted, "opencl:%d", n_devices);
    snprintf(message, sizeof message, "it has no device %d", n_devices);
    check_cli_fails(message, "generate", "x", "-q", "--backend", wanted);
}
END_TEST

static int priority_of(const sf_backend_info *infos, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(infos[i].name, name) == 0)
            return infos[i].priority;
    ck_abort_msg("there is no %s", name);
}

/* A processor is slower through OpenCL than with the cpu plugin: its priority is below that. */
START_TEST(auto_takes_opencl_for_what_is_no_processor) {
    const sf_backend_info *infos;
    sf_context_options options;
    sf_context *ctx = NULL;
    int n;
    sf_context_options_init(&options);
    options.log = NULL;
    options.backend = "auto";
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    ck_ok(ctx, sf_context_open_backend(ctx));
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    int opencl = priority_of(infos, n, "opencl"), cpu = priority_of(infos, n, "cpu");
    ck_assert_int_ne(opencl, cpu);
    if (strncmp(ctx->backend->name, "cuda", 4) != 0)
        ck_assert_str_eq(ctx->backend->name, opencl > cpu ? "opencl" : "cpu");
    sf_context_free(ctx);
}
END_TEST

/* ---- memory ---- */

START_TEST(a_buffer_that_is_too_large_is_an_error_and_no_more) {
    static const uint64_t sizes[] = {UINT64_C(1) << 50, UINT64_C(1) << 62, UINT64_MAX};
    sf_context *ctx = opencl_context(1);
    sf_plan *plan = opencl_silu_plan(ctx, 300);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *buffer = ctx;
        ck_fails(ctx, sf_backend_buffer_new(ctx->backend, sizes[i], &buffer), SF_ERROR_MEMORY,
                 "gives no buffer of");
        ck_assert_ptr_eq(buffer, ctx);
        opencl_check_silu(ctx, plan);
    }
    sf_plan_free(plan);
    sf_context_free(ctx);
}
END_TEST

/* ---- with the shim before the driver ---- */

static char preload[600];

/* Sanitizers want to be the first library of a process. */
#define SHIM(setting)                                                                              \
    (const char *[]) {                                                                             \
        preload, "ASAN_OPTIONS=verify_asan_link_order=0", setting, NULL                            \
    }

static void setup_shim(void) {
    cli_setup();
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s",
             test_build("tests/backends/gpu/.libs/opencl_shim.so"));
}

/* The last line; before it may be warnings of ops that the plugin lacks. */
static void check_last_line(const struct command_result *result, const char *part) {
    const char *line = result->err;
    for (const char *end; (end = strchr(line, '\n')) && end[1];)
        line = end + 1;
    ck_assert_msg(result->status == 1, "exit status %d: %s", result->status, result->err);
    ck_assert_msg(is_one_line(line) && strncmp(line, "sfumato: ", 9) == 0 && strstr(line, part),
                  "no \"%s\" in: %s", part, line);
}

/* The driver has no memory for buffer 1, 2, ...: always an error, and once there is enough, none. */
START_TEST(every_buffer_may_be_the_one_too_many) {
    int n = 0, status = 1;
    while (status != 0 && n < 2000) {
        char setting[64];
        struct command_result result;
        n = n < 4 ? n + 1 : 2 * n;
        snprintf(setting, sizeof setting, "SFUMATO_SHIM_BUFFER=%d", n);
        run(&result,
            CLI_ARGUMENTS("generate", "x", "-q", "--steps", "1", "--backend", "opencl", "-o",
                          "x.png"),
            SHIM(setting));
        status = result.status;
        if (status != 0)
            check_last_line(&result, "CL_MEM_OBJECT_ALLOCATION_FAILURE");
        command_result_free(&result);
    }
    ck_assert_int_eq(status, 0);
    ck_assert_int_gt(n, 4);
}
END_TEST

START_TEST(a_lost_device_is_told) {
    struct command_result result;
    run(&result, CLI_ARGUMENTS("generate", "x", "-q", "--backend", "opencl", "-o", "x.png"),
        SHIM("SFUMATO_SHIM_LAUNCH=7"));
    check_last_line(&result, "CL_OUT_OF_RESOURCES");
    ck_assert_ptr_nonnull(strstr(result.err, "on opencl"));
    command_result_free(&result);
}
END_TEST

/* One kernel of a plan takes groups of 64 only: all are compiled for that, and agree. */
START_TEST(kernels_may_need_smaller_groups) {
    static const char *const kernels[] = {"clamp_range:64", "clamp_range:100", "clamp_range:32"};
    char setting[64];
    struct command_result result;
    snprintf(setting, sizeof setting, "SFUMATO_SHIM_GROUP=%s", kernels[_i]);
    run(&result, CLI_ARGUMENTS("check-backend", "opencl", "--op", "clamp"), SHIM(setting));
    ck_assert_msg(result.status == 0, "%s%s", result.out, result.err);
    ck_assert_ptr_nonnull(strstr(result.out, " 0 differ"));
    ck_assert_ptr_null(strstr(result.out, "clamp                   0 agree"));
    command_result_free(&result);
    run(&result,
        CLI_ARGUMENTS("generate", "x", "-v", "--steps", "2", "--backend", "opencl", "-o", "x.png"),
        SHIM("SFUMATO_SHIM_GROUP=binary:64"));
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_msg(strstr(result.err, "in groups of at most 64: all are compiled for 64"), "%s",
                  result.err);
    command_result_free(&result);
}
END_TEST

START_TEST(too_small_groups_are_told) {
    struct command_result result;
    run(&result, CLI_ARGUMENTS("generate", "x", "-q", "--backend", "opencl", "-o", "x.png"),
        SHIM("SFUMATO_SHIM_GROUP=binary:16"));
    check_last_line(&result, "runs the kernel binary in groups of at most 16; it takes 32");
    command_result_free(&result);
}
END_TEST

/* ---- kernels that do not compile ---- */

/* The option makes `return` in unary.cl's and all other texts something that is no C. */
START_TEST(a_failed_build_names_device_file_and_reason) {
    const sf_plan_options no_options = {.backend = NULL};
    sf_graph *graph = NULL;
    sf_plan *plan = NULL;
    setenv("SFUMATO_OPENCL_OPTIONS", "-DBARRIER=no_such_thing -Dactivate=7", 1);
    sf_context *ctx = opencl_context(1);
    sf_plan_options options = no_options;
    options.backend = ctx->backend;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_output(graph, "y", sf_unary(graph, SF_OP_silu, sf_input(graph, "x", SF_F32, SF_DIMS(3))));
    ck_assert_int_eq(sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_BACKEND);
    const char *message = sf_error_message(ctx);
    const sf_backend_info *infos;
    char said[2048];
    int n;
    snprintf(said, sizeof said, "%s", message);
    ck_assert_msg(strstr(said, "unary.cl") && strstr(said, "CL_BUILD_PROGRAM_FAILURE") &&
                      strstr(said, "activation.h") && strstr(said, "error"),
                  "%s", said);
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    for (int i = 0; i < n; i++)
        if (strcmp(infos[i].name, "opencl") == 0) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(infos[i].device, ","),
                     infos[i].device);
            ck_assert_msg(strstr(said, name), "no \"%s\" in: %s", name, said);
        }
    unsetenv("SFUMATO_OPENCL_OPTIONS");
    plan = opencl_silu_plan(ctx, 50); /* the context is usable */
    opencl_check_silu(ctx, plan);
    sf_plan_free(plan);
    sf_context_free(ctx);
}
END_TEST

/* Kernels count elements in 32 bits. A dimension of 1 may have any stride. */
START_TEST(what_can_not_be_counted_is_refused) {
    static const struct {
        int64_t dims[3], strides[3];
        bool is_supported;
    } cases[] = {
        {{1, 32768, 65535}, {1, 65535, 1}, true},
        {{1, 32768, 65536}, {1, 65536, 1}, false},
        {{1, 65536, 65536}, {INT64_C(1) << 32, 65536, 1}, false},
        {{65536, 1, 65536}, {65536, INT64_C(1) << 32, 1}, false},
        {{1, 2, 3}, {INT64_C(1) << 40, 3, 1}, true},
        {{2, 2, 3}, {INT64_C(1) << 31, 3, 1}, false},
        {{2, 3, 65536}, {65536, 0, 1}, true},
        {{65536, 65536, 1}, {0, 0, 1}, false},
        {{1, 0, 65536}, {INT64_C(1) << 40, 65536, 1}, true},
    };
    sf_context *ctx = opencl_context(1);
    const sf_op_entry *silu = &ctx->backend->entries[SF_OP_silu];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sf_tensor_desc x = {.dtype = SF_F16, .n_dims = 3};
        int64_t stride = 1;
        for (int axis = SF_MAX_DIMS - 1; axis >= 0; axis--)
            x.dims[axis] = axis < 3 ? cases[i].dims[axis] : 1;
        sf_tensor_desc y = x;
        for (int axis = SF_MAX_DIMS - 1; axis >= 0; axis--) {
            x.strides[axis] = axis < 3 ? cases[i].strides[axis] : 1;
            y.strides[axis] = stride;
            stride *= y.dims[axis];
        }
        const sf_op_call call = {
            .struct_size = sizeof call, .n_inputs = 1, .op = "silu", .inputs = &x, .output = &y};
        ck_assert_msg(!silu->supports(&call) == !cases[i].is_supported, "case %zu", i);
    }
    sf_context_free(ctx);
}
END_TEST

/* Of a large linear layer: x, weight, bias, residual, y, and the workspace, where the product goes. */
#define N_OPERANDS 6
#define WORKSPACE  5

/* Its launches where one of them lies that far on. */
static uint32_t count_launches(const sf_context *ctx, int operand, uint64_t offset) {
    const int64_t size = 2048;
    sf_tensor_desc all[5];
    sf_op_cost cost = {.struct_size = sizeof cost};
    const sf_linear_attributes attributes = {.activation = SF_ACTIVATION_NONE};
    for (int i = 0; i < 5; i++)
        all[i] = (sf_tensor_desc){.dtype = SF_F32,
                                  .n_dims = i == 2 ? 1 : 2,
                                  .offset = i == operand ? offset : 0,
                                  .dims = {size, i == 2 ? 1 : size, 1, 1, 1},
                                  .strides = {i == 2 ? 1 : size, 1, 1, 1, 1}};
    const sf_op_call call = {.struct_size = sizeof call,
                             .n_inputs = 4,
                             .op = "linear",
                             .inputs = all,
                             .output = &all[4],
                             .attributes = &attributes,
                             .workspace_offset = operand == WORKSPACE ? offset : 0};
    ck_assert_int_eq(ctx->backend->entries[SF_OP_linear].cost(&call, &cost), SF_OK);
    return cost.n_launches;
}

/* CLBlast has offsets of 32 bits with a sign: the kernel takes what lies past those. */
START_TEST(what_the_library_can_not_reach_is_left_to_a_kernel) {
    static const uint32_t wanted[N_OPERANDS] = {1, 1, 2, 2, 2, 1};
    const uint64_t last = (UINT64_C(4) << 31) - (UINT64_C(4) << 22);
    sf_context *ctx = opencl_context(1);
    for (int operand = 0; operand < N_OPERANDS; operand++) {
        ck_assert_uint_eq(count_launches(ctx, operand, last), 2);
        ck_assert_uint_eq(count_launches(ctx, operand, last + 4), wanted[operand]);
    }
    sf_context_free(ctx);
}
END_TEST

/* ---- a library that can't be loaded ---- */

START_TEST(without_clblast_the_plugin_says_so) {
    struct command_result result;
    char folder[512], path[600];
    scratch_write("libclblast.so.1", "no library", 10);
    snprintf(folder, sizeof folder, "%s", scratch(""));
    snprintf(path, sizeof path, "LD_LIBRARY_PATH=%s", folder);
    run(&result, CLI_ARGUMENTS("backends"), (const char *[]){path, "SFUMATO_BACKEND=auto", NULL});
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_msg(strstr(result.out, "unusable: can't be loaded: ") &&
                      strstr(result.out, "libclblast.so.1") && strstr(result.out, "* cpu"),
                  "%s", result.out);
    command_result_free(&result);
    run(&result, CLI_ARGUMENTS("generate", "x", "-q", "--backend", "opencl", "-o", "x.png"),
        (const char *[]){path, NULL});
    check_last_line(&result, "libclblast.so.1");
    command_result_free(&result);
}
END_TEST

Suite *suite_backends_gpu_opencl_errors(void) {
    Suite *suite = suite_create("backends_gpu_opencl_errors");
    TCase *devices = tcase_create("devices"), *shim = tcase_create("shim");
    tcase_add_checked_fixture(devices, cli_setup, cli_teardown);
    opencl_add_test(devices, without_a_driver_auto_takes_cpu, 1);
    opencl_add_test(devices, without_a_driver_opencl_can_not_be_had, 1);
    opencl_add_test(devices, a_device_that_is_not_there_is_told, 1);
    opencl_add_test(devices, auto_takes_opencl_for_what_is_no_processor, 1);
    opencl_add_test(devices, a_buffer_that_is_too_large_is_an_error_and_no_more, 1);
    opencl_add_test(devices, a_failed_build_names_device_file_and_reason, 1);
    opencl_add_test(devices, what_can_not_be_counted_is_refused, 1);
    opencl_add_test(devices, what_the_library_can_not_reach_is_left_to_a_kernel, 1);
    opencl_add_test(devices, without_clblast_the_plugin_says_so, 1);
    suite_add_tcase(suite, devices);
    tcase_add_checked_fixture(shim, setup_shim, cli_teardown);
    tcase_set_timeout(shim, 600);
    opencl_add_test(shim, every_buffer_may_be_the_one_too_many, 1);
    opencl_add_test(shim, a_lost_device_is_told, 1);
    opencl_add_test(shim, kernels_may_need_smaller_groups, 3);
    opencl_add_test(shim, too_small_groups_are_told, 1);
    suite_add_tcase(suite, shim);
    return suite;
}
