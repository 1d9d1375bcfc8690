/*
 * `sfumato bench --roofline`: components on devices that are not there, from configurations alone; and
 * what a backend counts when a component really runs.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_roofline(void);

/* ---- models without weights ---- */

static const char sd15[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"act_fn\": \"silu\", \"attention_head_dim\": 8,"
    "\"block_out_channels\": [320, 640, 1280, 1280], \"cross_attention_dim\": 768,"
    "\"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\","
    "\"CrossAttnDownBlock2D\", \"DownBlock2D\"], \"flip_sin_to_cos\": true, \"freq_shift\": 0,"
    "\"in_channels\": 4, \"layers_per_block\": 2, \"norm_eps\": 1e-05, \"norm_num_groups\": 32,"
    "\"out_channels\": 4, \"sample_size\": 64, \"up_block_types\": [\"UpBlock2D\","
    "\"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\"]}";

static const char sdxl[] =
    "{\"_class_name\": \"UNet2DConditionModel\", \"act_fn\": \"silu\","
    "\"addition_embed_type\": \"text_time\", \"addition_time_embed_dim\": 256,"
    "\"attention_head_dim\": [5, 10, 20], \"block_out_channels\": [320, 640, 1280],"
    "\"cross_attention_dim\": 2048, \"down_block_types\": [\"DownBlock2D\","
    "\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\"], \"in_channels\": 4,"
    "\"layers_per_block\": 2, \"norm_eps\": 1e-05, \"norm_num_groups\": 32, \"out_channels\": 4,"
    "\"projection_class_embeddings_input_dim\": 2816, \"sample_size\": 128,"
    "\"transformer_layers_per_block\": [1, 2, 10], \"up_block_types\": [\"CrossAttnUpBlock2D\","
    "\"CrossAttnUpBlock2D\", \"UpBlock2D\"], \"use_linear_projection\": true}";

static void setup(void) {
    cli_setup();
    ck_assert_int_eq(mkdir(scratch("sd15"), 0700), 0);
    ck_assert_int_eq(mkdir(scratch("sdxl"), 0700), 0);
    scratch_write("sd15/config.json", sd15, sizeof sd15 - 1);
    scratch_write("sdxl/config.json", sdxl, sizeof sdxl - 1);
}

/* ---- JSON ---- */

#define bench(json, ...)                                                                           \
    do {                                                                                           \
        struct command_result bench_result_;                                                       \
        cli_run(&bench_result_, "bench", "-q", "--json", "-cunet", __VA_ARGS__);                   \
        (json) = cli_json(&bench_result_);                                                         \
    } while (0)

static bool near(double a, double b) {
    return a > b - 1e-6 * (1 + b) && a < b + 1e-6 * (1 + b);
}

/* ---- what is told ---- */

static void check_rows(const json_t *roofline, double n_steps) {
    double seconds = 0, launches = 0, flops = 0, bytes = 0, before = 1e300;
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(roofline, "ops"), index, row) {
        const char *bound = cli_text(row, "bound");
        ck_assert(strcmp(bound, "launch") == 0 || strcmp(bound, "memory") == 0 ||
                  strcmp(bound, "compute") == 0);
        ck_assert(cli_real(row, "seconds") > 0 && cli_real(row, "seconds") <= before);
        ck_assert(
            near(cli_real(row, "share") * cli_real(roofline, "seconds"), cli_real(row, "seconds")));
        before = cli_real(row, "seconds");
        seconds += before;
        launches += cli_real(row, "n_launches");
        flops += cli_real(row, "flop");
        bytes += cli_real(row, "bytes");
        n_steps -= cli_real(row, "n_steps");
    }
    ck_assert(n_steps == 0);
    ck_assert(near(seconds, cli_real(roofline, "seconds")));
    ck_assert(launches == cli_real(roofline, "n_launches"));
    ck_assert(flops == cli_real(roofline, "flop") && bytes == cli_real(roofline, "bytes"));
}

/* On the reference a step is a launch. At 1 FLOP/s, 1e9 B/s and 1 ms the parts can be told apart. */
START_TEST(a_whole_is_its_parts) {
    json_t *result;
    bench(result, "-m", test_model("."), "-b", "reference", "--roofline",
          "peak=1T,bandwidth=1G,launch=1m");
    const json_t *roofline = json_object_get(result, "roofline");
    const json_t *device = json_object_get(roofline, "device");
    const json_t *shares = json_object_get(roofline, "share_bound_by");
    ck_assert_str_eq(cli_text(result, "backend"), "reference");
    ck_assert_str_eq(cli_text(result, "precision"), "f32");
    ck_assert_str_eq(cli_text(result, "weights"), "f32");
    ck_assert(cli_real(result, "n_fallback_ops") == 0 && cli_real(result, "n_merged_ops") == 0);
    ck_assert(cli_real(device, "flop_per_s") == 1e12 && cli_real(device, "bytes_per_s") == 1e9);
    ck_assert(cli_real(device, "launch_seconds") == 1e-3);
    ck_assert(cli_real(roofline, "n_launches") == cli_real(result, "n_ops"));
    ck_assert(cli_real(roofline, "seconds") >=
              1e-3 * cli_real(result, "n_ops") + 1e-9 * cli_real(roofline, "bytes"));
    ck_assert(near(
        cli_real(shares, "launch") + cli_real(shares, "memory") + cli_real(shares, "compute"), 1));
    check_rows(roofline, cli_real(result, "n_ops"));
    ck_assert_ptr_null(json_object_get(result, "seconds"));
    json_decref(result);
}
END_TEST

/* What is counted on paper is what a run counts. */
START_TEST(the_same_work_as_when_it_runs) {
    json_t *paper, *run;
    bench(paper, "-m", test_model("."), "-b", "cpu", "--size=32", "--roofline=rtx-4090",
          "--dtype=f16");
    bench(run, "-m", test_model("."), "-b", "cpu", "--size=32", "-r1", "--warmup=0");
    ck_assert(cli_real(json_object_get(paper, "roofline"), "flop") == cli_real(run, "flop"));
    ck_assert(cli_real(paper, "n_ops") == cli_real(run, "n_ops"));
    ck_assert(json_equal(json_object_get(paper, "inputs"), json_object_get(run, "inputs")));
    ck_assert(cli_real(json_object_get(paper, "memory"), "arena_bytes") ==
              cli_real(json_object_get(run, "memory"), "arena_bytes"));
    ck_assert_ptr_null(json_object_get(run, "counters"));
    json_decref(paper);
    json_decref(run);
}
END_TEST

/* Peaks by precision, settings after a name. */
static const struct {
    const char *device, *precision;
    double peak, f32_peak, bandwidth, launch;
} devices[] = {
    {"rtx-4090", "f32", 82.6e12, 82.6e12, 1008e9, 3e-6},
    {"rtx-4090", "f16", 165.2e12, 82.6e12, 1008e9, 3e-6},
    {"a100,launch=10u", "bf16", 312e12, 19.5e12, 2039e9, 10e-6},
    {"rx-7900-xtx,peak=1e12,bandwidth=5.5G", "f16", 1e12, 1e12, 5.5e9, 3e-6},
    {"bandwidth=1000M,peak=2000k", "f16", 2e6, 2e6, 1e9, 3e-6},
};

START_TEST(devices_are_read) {
    json_t *result;
    bench(result, "-m", "sd15", "-b", "reference", "--roofline", devices[_i].device, "--precision",
          devices[_i].precision, "--size=64", "--dtype=f16");
    const json_t *device = json_object_get(json_object_get(result, "roofline"), "device");
    ck_assert_double_eq_tol(cli_real(device, "flop_per_s"), devices[_i].peak, 1);
    ck_assert_double_eq_tol(cli_real(device, "f32_flop_per_s"), devices[_i].f32_peak, 1);
    ck_assert_double_eq_tol(cli_real(device, "bytes_per_s"), devices[_i].bandwidth, 1);
    ck_assert_double_eq_tol(cli_real(device, "launch_seconds"), devices[_i].launch, 1e-12);
    ck_assert_str_eq(cli_text(result, "weights"), "f16");
    ck_assert_str_eq(cli_text(result, "precision"), devices[_i].precision);
    json_decref(result);
}
END_TEST

START_TEST(for_people) {
    struct command_result result;
    cli_run(&result, "bench", "-m", "sdxl", "-cunet", "-b", "reference", "--roofline", "a100",
            "--precision=f16");
    ck_assert_msg(result.status == 0, "%s", result.err);
    static const char *const parts[] = {
        "unet (UNet2DConditionModel) on reference on paper, f16, weights in f16\n",
        "text_embeds [1, 1280], time_ids [1, 6]\n",
        "NVIDIA A100 80 GB SXM: 312.0 TFLOP/s, 2039 GB/s, 3.00 us a launch\n",
        "at best; bound by launches ",
        " launches, 6761.2 GFLOP, ",
        " linear_geglu\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(result.out, parts[i]), "no \"%s\" in %s", parts[i], result.out);
    ck_assert_str_eq(result.err, "");
    command_result_free(&result);
}
END_TEST

START_TEST(what_is_refused) {
    static const char *const wrong[] = {
        "gtx",          "peak=1T",   "bandwidth=1G",         "peak=,a100",      "peak=1Tx",
        "a100,peak=-1", "a100,a100", "peak=1T bandwidth=1G", "a100,launch=nan", "a100,speed=1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_cli_fails("is not one of rtx-4090, a100, rx-7900-xtx, nor peak=", "bench", "-msd15",
                        "-cunet", "-breference", "--roofline", wrong[i]);
    check_cli_fails("there is no such plugin", "bench", "-msd15", "-cunet", "-bnone", "--roofline",
                    "a100");
    check_cli_fails("no weights", "bench", "-msd15", "-cunet", "-breference");
}
END_TEST

/* ---- launches of an evaluation ---- */

static bool is_built(const char *plugin) {
    char file[64];
    snprintf(file, sizeof file, "plugins/.libs/%s.so", plugin);
    return access(test_build(file), F_OK) == 0;
}

/*
 * A step is a launch on the reference, which merges nothing. Of a plugin that is not built the budget
 * is left out.
 */
static const struct {
    const char *model, *backend, *precision, *batch;
    double most;
} budgets[] = {
    {"sd15", "reference", "f16", "1", 462},  {"sd15", "reference", "f16", "2", 462},
    {"sdxl", "reference", "f16", "1", 1228}, {"sd15", "opencl", "f16", "1", 400},
    {"sd15", "opencl", "f16", "2", 400},     {"sd15", "opencl", "f32", "1", 400},
    {"sd15", "cuda", "f32", "1", 400},       {"sd15", "cuda", "f16", "1", 393},
    {"sd15", "cuda", "f16", "2", 381},       {"sd15", "cuda", "bf16", "1", 393},
};

START_TEST(launches_of_an_evaluation) {
    json_t *result;
    if (!is_built(budgets[_i].backend)) {
        printf("cli_roofline: %s is not built, a test is left out\n", budgets[_i].backend);
        return;
    }
    bench(result, "-m", budgets[_i].model, "-b", budgets[_i].backend, "-N", budgets[_i].batch,
          "--precision", budgets[_i].precision, "--size=512", "--roofline=a100");
    double launches = cli_real(json_object_get(result, "roofline"), "n_launches");
    ck_assert_msg(launches <= budgets[_i].most,
                  "%s on %s, %s, batch %s: %g launches, %g are the most", budgets[_i].model,
                  budgets[_i].backend, budgets[_i].precision, budgets[_i].batch, launches,
                  budgets[_i].most);
    ck_assert(cli_real(result, "n_fallback_ops") == 0);
    json_decref(result);
}
END_TEST

/* ---- whose peak it is ---- */

/* What is computed in f32 does not have the peak of matrix units, whatever the tensors' types. */
static const struct {
    const char *backend, *precision;
    bool in_f32; /* attention */
} computed[] = {{"reference", "f32", true}, {"reference", "f16", false}, {"opencl", "f16", true},
                {"opencl", "bf16", true},   {"cuda", "f32", true},       {"cuda", "f16", false},
                {"cuda", "bf16", false}};

START_TEST(what_is_computed_in_f32) {
    json_t *result, *row;
    size_t index;
    double seconds = 0, flops = 0, f32_flops = 0;
    if (!is_built(computed[_i].backend)) {
        printf("cli_roofline: %s is not built, a test is left out\n", computed[_i].backend);
        return;
    }
    bench(result, "-m", "sd15", "-b", computed[_i].backend, "--precision", computed[_i].precision,
          "--size=512", "--roofline=a100,bandwidth=1000000T,launch=1e-12");
    const json_t *roofline = json_object_get(result, "roofline");
    json_array_foreach(json_object_get(roofline, "ops"), index, row) {
        f32_flops += cli_real(row, "f32_flop");
        if (strcmp(cli_text(row, "op"), "attention") != 0)
            continue;
        seconds = cli_real(row, "seconds");
        flops = cli_real(row, "flop");
        ck_assert(cli_real(row, "f32_flop") == (computed[_i].in_f32 ? flops : 0));
    }
    ck_assert(flops > 0 && near(seconds * (computed[_i].in_f32 ? 19.5 : 312) * 1e12, flops));
    ck_assert(near(f32_flops, cli_real(roofline, "f32_flop")));
    json_decref(result);
}
END_TEST

/* ---- a run on a device ---- */

/* Whether `sfumato backends` says so, if it lists the plugin at all. */
static bool is_usable(const char *backend) {
    struct command_result result;
    bool usable = false;
    size_t index;
    json_t *row, *list;
    cli_run(&result, "backends", "--json");
    list = json_loads(result.out, 0, NULL);
    json_array_foreach(list, index, row) usable =
        usable || (strcmp(cli_text(row, "name"), backend) == 0 &&
                   json_is_true(json_object_get(row, "usable")));
    json_decref(list);
    command_result_free(&result);
    return usable;
}

/* The plugin runs what it says that it would, and nothing is allocated or compiled meanwhile. */
START_TEST(a_run_takes_what_was_planned) {
    static const char *const precisions[] = {"f32", "f16"};
    json_t *paper, *run;
    if (!is_usable("opencl")) {
        printf("cli_roofline: there is no OpenCL device, a test is left out\n");
        return;
    }
    bench(paper, "-m", test_model("."), "-b", "opencl", "--precision", precisions[_i],
          "--dtype=f16", "--roofline=a100");
    bench(run, "-m", test_model("."), "-b", "opencl", "--precision", precisions[_i], "-r1");
    const json_t *counters = json_object_get(run, "counters");
    ck_assert(cli_real(paper, "n_ops") == cli_real(run, "n_ops"));
    ck_assert(cli_real(counters, "n_launches") > 0);
    ck_assert_double_eq(cli_real(counters, "n_launches"),
                        cli_real(json_object_get(paper, "roofline"), "n_launches"));
    ck_assert(cli_real(counters, "n_products") <= cli_real(counters, "n_launches"));
    ck_assert(cli_real(counters, "n_allocations") == 0 && cli_real(counters, "n_builds") == 0);
    ck_assert(cli_real(counters, "bytes_uploaded") > 0 &&
              cli_real(counters, "bytes_downloaded") > 0);
    json_decref(paper);
    json_decref(run);
}
END_TEST

Suite *suite_cli_roofline(void) {
    Suite *suite = suite_create("cli_roofline");
    TCase *tcase = tcase_create("roofline");
    tcase_add_checked_fixture(tcase, setup, cli_teardown);
    tcase_add_test(tcase, a_whole_is_its_parts);
    tcase_add_test(tcase, the_same_work_as_when_it_runs);
    tcase_add_loop_test(tcase, devices_are_read, 0, sizeof devices / sizeof *devices);
    tcase_add_test(tcase, for_people);
    tcase_add_test(tcase, what_is_refused);
    tcase_add_loop_test(tcase, launches_of_an_evaluation, 0, sizeof budgets / sizeof *budgets);
    tcase_add_loop_test(tcase, what_is_computed_in_f32, 0, sizeof computed / sizeof *computed);
    tcase_add_loop_test(tcase, a_run_takes_what_was_planned, 0, 2);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return suite;
}
