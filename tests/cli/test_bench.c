/*
 * `sfumato bench`: what is counted and how it is said. No test looks at a time but for its sign.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "tests/support/cli.h"
#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_bench(void);

#define bench(json, ...)                                                                           \
    do {                                                                                           \
        struct command_result bench_result_;                                                       \
        cli_run(&bench_result_, "bench", "-q", "--json", __VA_ARGS__);                             \
        (json) = cli_json(&bench_result_);                                                         \
    } while (0)

/* min <= median <= max, all of them positive, as many runs as were asked for. */
static void check_seconds(const json_t *seconds, size_t n_runs) {
    ck_assert(cli_real(seconds, "min") > 0);
    ck_assert(cli_real(seconds, "min") <= cli_real(seconds, "median"));
    ck_assert(cli_real(seconds, "median") <= cli_real(seconds, "max"));
    ck_assert_uint_eq(json_array_size(json_object_get(seconds, "runs")), n_runs);
}

/* ---- components ---- */

/* Of the emoji model at its own size: the inputs in JSON. */
static const struct {
    const char *component, *backend, *class_name, *inputs;
} components[] = {
    {"unet", "cpu", "UNet2DConditionModel",
     "{\"sample\":[1,4,16,16],\"timestep\":[1],\"encoder_hidden_states\":[1,32,128]}"},
    {"vae_decoder", "reference", "AutoencoderKL", "{\"sample\":[1,4,16,16]}"},
    {"vae_encoder", "cpu", "AutoencoderKL", "{\"sample\":[1,3,64,64]}"},
    {"text_encoder", "reference", "CLIPTextModel", "{\"input_ids\":[1,32]}"},
};
enum { N_COMPONENTS = sizeof components / sizeof *components };

static void check_memory(const json_t *memory) {
    double weights = cli_real(memory, "weight_bytes"), arena = cli_real(memory, "arena_bytes");
    ck_assert(weights > 100000 && arena > 10000);
    ck_assert(cli_real(memory, "unshared_bytes") >= arena);
    ck_assert(cli_real(memory, "staging_bytes") == 0);
    ck_assert(cli_real(memory, "planned_peak_bytes") == weights + arena);
    ck_assert(cli_real(memory, "peak_resident_bytes") > arena);
}

/* The rows are the whole: all steps, all operations, all the time. */
static void check_rows(const json_t *result) {
    double n_steps = 0, flops = 0, share = 0, before = HUGE_VAL;
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(result, "ops"), index, row) {
        ck_assert(cli_real(row, "seconds") > 0 && cli_real(row, "seconds") <= before);
        ck_assert(cli_real(row, "bytes") > 0 && cli_real(row, "gb_per_s") > 0);
        ck_assert((cli_real(row, "flop") > 0) == (cli_real(row, "gflop_per_s") > 0));
        before = cli_real(row, "seconds");
        n_steps += cli_real(row, "n_steps");
        flops += cli_real(row, "flop");
        share += cli_real(row, "share");
    }
    ck_assert(n_steps > 0 && n_steps == cli_real(result, "n_ops"));
    ck_assert(flops > 0 && flops == cli_real(result, "flop"));
    ck_assert_double_eq_tol(share, 1, 1e-6);
}

START_TEST(component_tells_all) {
    json_t *result, *inputs = json_loads(components[_i].inputs, 0, NULL);
    const char *name = components[_i].component;
    bench(result, "--model", test_model("."), "--component", name, "--repeat=2", "--warmup=0",
          "--ops", "--backend", components[_i].backend);
    ck_assert_str_eq(cli_text(result, "component"), name);
    ck_assert_str_eq(cli_text(result, "class"), components[_i].class_name);
    ck_assert_str_eq(cli_text(result, "backend"), components[_i].backend);
    ck_assert_str_eq(cli_text(result, "precision"), "f32");
    ck_assert_msg(json_equal(json_object_get(result, "inputs"), inputs), "%s: other inputs", name);
    ck_assert(cli_real(result, "n_fallback_ops") == 0);
    check_seconds(json_object_get(result, "seconds"), 2);
    ck_assert(cli_real(result, "load_seconds") > 0 && cli_real(result, "plan_seconds") > 0);
    ck_assert(cli_real(result, "time_to_first_result_seconds") >=
              cli_real(result, "first_run_seconds"));
    ck_assert(cli_real(result, "gflop_per_s") > 0);
    check_memory(json_object_get(result, "memory"));
    check_rows(result);
    json_decref(inputs);
    json_decref(result);
}
END_TEST

/* A U-Net is timed with all that a drawing hands it. */
START_TEST(guidance_input_is_given) {
    json_t *result;
    model_copy_distilled("model");
    json_t *inputs = json_loads("{\"sample\":[1,4,8,8],\"timestep\":[1],\"encoder_hidden_states\":"
                                "[1,12,8],\"timestep_cond\":[1,9]}",
                                0, NULL);
    bench(result, "--model", scratch("model"), "--component", "unet", "--repeat=1");
    ck_assert(json_equal(json_object_get(result, "inputs"), inputs));
    json_decref(inputs);
    json_decref(result);
}
END_TEST

/* All sums of products are over one picture at a time, so their number goes with the pixels. */
START_TEST(work_grows_with_batch_and_size) {
    json_t *one, *two, *small;
    bench(one, "--model", test_model("."), "-c", "vae_decoder", "-r1", "--size=32");
    bench(two, "--model", test_model("."), "-c", "vae_decoder", "-r1", "--size=32", "--batch=2",
          "--precision=f16");
    bench(small, "--model", test_model("vae"), "-c", "vae_decoder", "-r1", "--size=16");
    ck_assert_ptr_null(json_object_get(one, "ops"));
    ck_assert_str_eq(cli_text(two, "precision"), "f16");
    ck_assert(cli_real(two, "flop") == 2 * cli_real(one, "flop"));
    ck_assert(cli_real(small, "flop") < cli_real(one, "flop") / 3.9);
    ck_assert(cli_real(json_object_get(two, "memory"), "weight_bytes") ==
              cli_real(json_object_get(one, "memory"), "weight_bytes"));
    json_decref(one);
    json_decref(two);
    json_decref(small);
}
END_TEST

START_TEST(rows_by_shape) {
    json_t *kinds, *shapes;
    bench(kinds, "--model", test_model("."), "-c", "unet", "-r1", "--size=16", "--ops");
    bench(shapes, "--model", test_model("."), "-c", "unet", "-r1", "--size=16", "--shapes");
    check_rows(shapes);
    ck_assert(cli_real(shapes, "flop") == cli_real(kinds, "flop"));
    ck_assert_uint_gt(json_array_size(json_object_get(shapes, "ops")),
                      json_array_size(json_object_get(kinds, "ops")));
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(shapes, "ops"), index, row)
        ck_assert_msg(strstr(cli_text(row, "op"), "f32 ["), "%s", cli_text(row, "op"));
    json_decref(kinds);
    json_decref(shapes);
}
END_TEST

START_TEST(component_for_people) {
    struct command_result result;
    cli_run(&result, "bench", "--model", test_model("."), "-c", "text_encoder", "-r1", "--ops",
            "--backend=reference");
    ck_assert_msg(result.status == 0, "%s", result.err);
    static const char *const parts[] = {"text_encoder (CLIPTextModel) on reference, f32\n",
                                        "input_ids [1, 32]\n",
                                        "GFLOP/s",
                                        "of weights",
                                        "peak resident\n",
                                        "attention\n",
                                        "linear\n"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(result.out, parts[i]), "no \"%s\" in %s", parts[i], result.out);
    ck_assert_msg(strncmp(result.err, "bench: 3/3 in ", 14) == 0, "%s", result.err);
    command_result_free(&result);
}
END_TEST

/* ---- ops ---- */

/* Operations and bytes by hand. */
static const struct {
    const char *arguments[12];
    const char *output;
    double flops, bytes;
} ops[] = {
    {{"conv2d", "-i1x8x8x32", "-i16x32x3x3", "-apadding=1"},
     "f32 [1, 8, 8, 16]",
     2.0 * 8 * 8 * 16 * 32 * 9,
     4.0 * (8 * 8 * 32 + 16 * 32 * 9 + 8 * 8 * 16)},
    {{"conv2d", "-i2x9x7x6:f16", "-i4x3x3x3", "-i4:f32", "-astride=2x1", "-apadding=1x0x1x0",
      "-agroups=2", "-aactivation=silu", "--dtype=bf16"},
     "f16 [2, 4, 6, 4]",
     2.0 * (2 * 4 * 6 * 4) * 3 * 9,
     2.0 * (2 * 9 * 7 * 6 + 4 * 3 * 9 + 2 * 4 * 6 * 4) + 4 * 4},
    {{"linear", "-i2x3x5", "-i7x5", "-i7", "--precision=bf16"},
     "bf16 [2, 3, 7]",
     2.0 * 6 * 7 * 5,
     2.0 * (30 + 42) + 4 * (35 + 7)},
    {{"matmul", "-i2x3x4", "-i2x5x4", "-atranspose_b=1", "-ascale=0.5"},
     "f32 [2, 3, 5]",
     2.0 * 2 * 3 * 5 * 4,
     4.0 * (24 + 40 + 30)},
    {{"attention", "-i1x6x8", "-i1x5x8", "-i1x5x8", "-an_heads=2"},
     "f32 [1, 6, 8]",
     2.0 * 2 * 6 * 5 * 8,
     4.0 * (48 + 40 + 40 + 48)},
    {{"group_norm", "-i1x4x4x8", "-i8", "-i-", "-agroups=4"},
     "f32 [1, 4, 4, 8]",
     0,
     4.0 * (128 + 8 + 128)},
    {{"add", "-i3x4", "-i4"}, "f32 [3, 4]", 0, 4.0 * (12 + 4 + 12)},
    {{"cast", "-i5", "-adtype=f16"}, "f16 [5]", 0, 30},
    {{"resize", "-i1x2x2x3", "-aheight=4", "-awidth=6", "-amode=bilinear"},
     "f32 [1, 4, 6, 3]",
     0,
     4.0 * (12 + 72)},
    {{"embedding", "-i100x4", "-i7"}, "f32 [7, 4]", 0, 4.0 * (28 + 28) + 8 * 7},
    {{"linear_combination", "-i2", "-i3:f16", "-i3:f16"}, "f16 [3]", 0, 8 + 3 * 6},
};
enum { N_OPS = sizeof ops / sizeof *ops };

static json_t *bench_op(const char *const *arguments) {
    const char *all[24] = {test_build("sfumato"), "bench", "-q", "--json", "-r3", "--op"};
    struct command_result result;
    for (int i = 0; arguments[i]; i++)
        all[6 + i] = arguments[i];
    cli_run_command(&result, (struct command){.arguments = all});
    return cli_json(&result);
}

START_TEST(op_is_counted) {
    const char *arguments[13] = {0};
    memcpy(arguments, ops[_i].arguments, sizeof ops[_i].arguments);
    json_t *result = bench_op(arguments);
    const json_t *row = json_array_get(json_object_get(result, "cases"), 0);
    ck_assert_str_eq(cli_text(result, "op"), arguments[0]);
    ck_assert_uint_eq(json_array_size(json_object_get(result, "cases")), 1);
    ck_assert_str_eq(cli_text(row, "output"), ops[_i].output);
    ck_assert(cli_real(row, "flop") == ops[_i].flops);
    ck_assert(cli_real(row, "bytes") == ops[_i].bytes);
    ck_assert(cli_real(result, "peak_resident_bytes") > 0);
    ck_assert(json_is_false(json_object_get(row, "lowered")));
    check_seconds(json_object_get(row, "seconds"), 3);
    json_decref(result);
}
END_TEST

START_TEST(usual_shapes) {
    json_t *result;
    bench(result, "--op=layer_norm", "-r1", "--warmup=0");
    const json_t *cases = json_object_get(result, "cases");
    ck_assert_uint_eq(json_array_size(cases), 3);
    const json_t *inputs = json_object_get(json_array_get(cases, 0), "inputs");
    ck_assert_uint_eq(json_array_size(inputs), 3);
    ck_assert_str_eq(json_string_value(json_array_get(inputs, 0)), "f32 [1, 4096, 320]");
    json_decref(result);
}
END_TEST

START_TEST(op_for_people) {
    struct command_result result;
    cli_run(&result, "bench", "-q", "--op=conv2d", "-i1x4x4x2", "-i3x2x3x3", "-i-", "-i1x4x4x3",
            "-apadding=1", "--backend=reference");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_msg(strncmp(result.out, "conv2d on reference\n", 20) == 0, "%s", result.out);
    ck_assert_msg(strstr(result.out,
                         "  f32 [1, 4, 4, 2], f32 [3, 2, 3, 3], none, f32 [1, 4, 4, 3]; "
                         "padding=1\n"),
                  "%s", result.out);
    command_result_free(&result);
}
END_TEST

/* ---- refusals ---- */

#define COMPONENT "bench", "-q", "--model", test_model(".")
#define CONV      "bench", "-q", "--op=conv2d", "-i1x4x4x2", "-i3x2x3x3"

START_TEST(what_is_refused) {
    check_cli_fails("no component is called \"oracle\"", COMPONENT, "-c", "oracle");
    check_cli_fails("there is no model \"nowhere\"", "bench", "-cunet", "-mnowhere");
    check_cli_fails("66 pixels are not a multiple of 4", COMPONENT, "-cunet", "--size=66");
    check_cli_fails("there is no op \"conv3d\"", "bench", "--op=conv3d");
    check_cli_fails("permute is a view", "bench", "--op=permute");
    check_cli_fails("there are no usual shapes of mish", "bench", "--op=mish");
    check_cli_fails("the input \"1x4x\"", "bench", "--op=mish", "-i1x4x");
    check_cli_fails("the input \"1x2x3x4x5x6\"", "bench", "--op=mish", "-i1x2x3x4x5x6");
    check_cli_fails("the input \"-3\"", "bench", "--op=mish", "-i", "-3");
    check_cli_fails("\"f64\" is none of f32, f16, bf16", "bench", "--op=mish", "-i3:f64");
    check_cli_fails("is too large", "bench", "--op=mish",
                    "-i2000000000x2000000000x2000000000x2000000000");
    check_cli_fails("must have 4", "bench", "--op=conv2d", "-i3", "-i4");
    check_cli_fails("input x is missing", "bench", "--op=conv2d", "-i-", "-i3x2x3x3");
    check_cli_fails("1 inputs, needs 2", "bench", "--op=add", "-i3");
    check_cli_fails("has no attribute \"colour=1\"; it has stride, dilation", CONV, "-acolour=1");
    check_cli_fails("mish has no attribute \"axis=1\"; it has none", "bench", "--op=mish", "-i3",
                    "-aaxis=1");
    check_cli_fails("\"stride=1x\"", CONV, "-astride=1x");
    check_cli_fails("\"stride=1x2x3\"", CONV, "-astride=1x2x3");
    check_cli_fails("\"padding=1x2\" is not padding= and a whole number, or 4", CONV,
                    "-apadding=1x2");
    check_cli_fails("\"activation=exp\" is not activation= and an activation", CONV,
                    "-aactivation=exp");
    check_cli_fails("\"stride\"", CONV, "-astride");
    check_cli_fails("stride 0 along the height", CONV, "-astride=0");
}
END_TEST

START_TEST(interruption_ends_it) {
    struct command_result result;
    cli_run_command(&result, (struct command){.arguments = CLI_ARGUMENTS("bench", "-q", "--op=silu",
                                                                         "-i1000x100", "-r100000"),
                                              .interrupt_after_ms = 300});
    ck_assert_int_eq(result.status, 1);
    ck_assert_str_eq(result.out, "");
    ck_assert_ptr_nonnull(strstr(result.err, "cancelled"));
    command_result_free(&result);
}
END_TEST

Suite *suite_cli_bench(void) {
    Suite *suite = suite_create("cli_bench");
    TCase *tcase = tcase_create("bench");
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_loop_test(tcase, component_tells_all, 0, N_COMPONENTS);
    tcase_add_test(tcase, guidance_input_is_given);
    tcase_add_test(tcase, work_grows_with_batch_and_size);
    tcase_add_test(tcase, rows_by_shape);
    tcase_add_test(tcase, component_for_people);
    tcase_add_loop_test(tcase, op_is_counted, 0, N_OPS);
    tcase_add_test(tcase, usual_shapes);
    tcase_add_test(tcase, op_for_people);
    tcase_add_test(tcase, what_is_refused);
    tcase_add_test(tcase, interruption_ends_it);
    suite_add_tcase(suite, tcase);
    return suite;
}
