/*
 * sf_component_run(): what it takes, what it refuses and says, and that a plan is made once for
 * inputs of the same shapes. On the reference, and on the cpu plugin with the best instruction set.
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "core/tensor.h"
#include "models/component.h"
#include "tests/models/golden.h"
#include "tests/support/backends.h"
#include "tests/support/support.h"

Suite *suite_models_component(void);

static sf_context *ctx;
static sf_component *component;
static struct golden golden;

static void setup_on(int backend) {
    ctx = test_context_on(backend);
    component = NULL;
    golden = (struct golden){NULL, NULL};
}

static void setup_reference(void) {
    setup_on(0);
}

static void setup_cpu(void) {
    setup_on(test_n_backends() - 1);
}

static void teardown(void) {
    sf_component_free(component);
    golden_clear(&golden);
    test_context_free(ctx);
}

static void open_folder(const char *folder, const char *name, const char *golden_file) {
    ck_ok(ctx, sf_component_load(ctx, folder, name, &component));
    golden_load(ctx, test_data(golden_file), &golden);
}

static void open_unet(void) {
    open_folder(test_model(""), "unet", "models/emoji_unet_odd/golden.safetensors");
}

/* Runs with one input replaced by a constant. */
static sf_status run_with(const char *name, sf_dtype dtype, int n_dims, const int64_t *dims,
                          double value, sf_tensors **outputs) {
    sf_tensor *tensor = constant_tensor(ctx, dtype, n_dims, dims, value);
    sf_tensors *inputs = golden_with(ctx, golden.inputs, name, tensor);
    sf_status status = sf_component_run(component, inputs, outputs);
    sf_tensors_free(inputs);
    sf_tensor_free(tensor);
    return status;
}

#define DIMS(...)                                                                                  \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                 \
        __VA_ARGS__                                                                                \
    }

#define REFUSES(status, message, ...)                                                              \
    do {                                                                                           \
        sf_tensors *refused_ = NULL;                                                               \
        ck_fails(ctx, run_with(__VA_ARGS__, &refused_), status, message);                          \
        ck_assert_ptr_null(refused_);                                                              \
    } while (0)

/* ---- shapes ---- */

START_TEST(wrong_shapes) {
    open_unet();
    REFUSES(SF_ERROR_SHAPE,
            "unet: the input \"sample\" is f32 [2, 4, 8]; f32 [N, 4, H, W] is wanted", "sample",
            SF_F32, DIMS(2, 4, 8), 1);
    REFUSES(SF_ERROR_SHAPE, "\"sample\" is f32 [2, 3, 8, 8]; f32 [N, 4, H, W]", "sample", SF_F32,
            DIMS(2, 3, 8, 8), 1);
    REFUSES(SF_ERROR_SHAPE, "f32 [2, 4, 0, 8]", "sample", SF_F32, DIMS(2, 4, 0, 8), 1);
    REFUSES(SF_ERROR_SHAPE, "\"timestep\" is f32 [3]; f32 [2] or a scalar is wanted", "timestep",
            SF_F32, DIMS(3), 1);
    REFUSES(SF_ERROR_SHAPE,
            "\"encoder_hidden_states\" is f32 [3, 5, 128]; f32 [2, T, 128] is wanted",
            "encoder_hidden_states", SF_F32, DIMS(3, 5, 128), 1);
    REFUSES(SF_ERROR_SHAPE, "f32 [2, T, 128] is wanted", "encoder_hidden_states", SF_F32,
            DIMS(2, 5, 127), 1);
    ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), test_model("unet")));
}
END_TEST

START_TEST(missing_and_unknown) {
    sf_tensors *none = NULL;
    open_unet();
    sf_tensors *inputs = golden_with(ctx, golden.inputs, "timestep", NULL);
    ck_fails(ctx, sf_component_run(component, inputs, &none), SF_ERROR_ARGUMENT,
             "unet: the input \"timestep\", f32 [2] or a scalar, is missing");
    sf_tensors_free(inputs);
    inputs = golden_with(ctx, golden.inputs, "sample", NULL);
    ck_fails(ctx, sf_component_run(component, inputs, &none), SF_ERROR_ARGUMENT,
             "the input \"sample\", f32 [N, 4, H, W], is missing");
    sf_tensors_free(inputs);
    REFUSES(SF_ERROR_ARGUMENT, "unet has no input \"samples\"; it takes sample f32 [N, 4, H, W], ",
            "samples", SF_F32, DIMS(1), 0);
    REFUSES(SF_ERROR_ARGUMENT, "no input \"class_labels\"", "class_labels", SF_I64, DIMS(2), 0);
    REFUSES(SF_ERROR_ARGUMENT, "no input \"down_block_additional_residuals.01\"",
            "down_block_additional_residuals.01", SF_F32, DIMS(1, 1, 1, 1), 0);
    REFUSES(SF_ERROR_ARGUMENT, "no input \"down_block_additional_residuals.6\"",
            "down_block_additional_residuals.6", SF_F32, DIMS(1, 1, 1, 1), 0);
    REFUSES(SF_ERROR_ARGUMENT, "no input \"down_block_additional_residuals.-1\"",
            "down_block_additional_residuals.-1", SF_F32, DIMS(1, 1, 1, 1), 0);
}
END_TEST

START_TEST(residuals_come_together) {
    open_folder(test_data("models/unet_control"), "unet", "models/unet_control/golden.safetensors");
    static const char first[] = "down_block_additional_residuals.0";
    static const char mid[] = "mid_block_additional_residual";
    sf_tensors *none = NULL;
    sf_tensors *inputs = golden_with(ctx, golden.inputs, first, NULL);
    ck_fails(ctx, sf_component_run(component, inputs, &none), SF_ERROR_ARGUMENT,
             "3 of 4 inputs down_block_additional_residuals.K are given");
    sf_tensors_free(inputs);
    inputs = golden_with(ctx, golden.inputs, mid, NULL);
    ck_fails(ctx, sf_component_run(component, inputs, &none), SF_ERROR_ARGUMENT,
             "4 down_block_additional_residuals and no mid_block_additional_residual");
    sf_tensors_free(inputs);
    REFUSES(SF_ERROR_SHAPE, first, first, SF_F32, DIMS(2, 4, 5, 7), 1);
    REFUSES(SF_ERROR_SHAPE, "do not broadcast", first, SF_F32, DIMS(4, 1, 1, 1), 1);
    ck_ok(ctx, run_with(mid, SF_F32, DIMS(1, 8, 1, 1), 0.5, &none));
    sf_tensors_free(none);
}
END_TEST

/* Residuals for two images do not make two of one. */
START_TEST(residuals_of_a_larger_batch) {
    open_folder(test_data("models/unet_control"), "unet", "models/unet_control/golden.safetensors");
    sf_tensor *sample = constant_tensor(ctx, SF_F32, DIMS(1, 4, 5, 6), 1);
    sf_tensor *tokens = constant_tensor(ctx, SF_F32, DIMS(1, 3, 6), 1);
    sf_tensor *timestep = constant_tensor(ctx, SF_F32, 0, NULL, 1);
    sf_tensors *one = golden_with(ctx, golden.inputs, "sample", sample), *outputs = NULL;
    sf_tensors *two = golden_with(ctx, one, "encoder_hidden_states", tokens);
    sf_tensors *three = golden_with(ctx, two, "timestep", timestep);
    ck_fails(ctx, sf_component_run(component, three, &outputs), SF_ERROR_SHAPE,
             "down_block_additional_residuals.0: larger than the image f32 [1, 5, 6, 4]");
    sf_tensors_free(one);
    sf_tensors_free(two);
    sf_tensors_free(three);
    sf_tensor_free(sample);
    sf_tensor_free(tokens);
    sf_tensor_free(timestep);
}
END_TEST

/* ---- types and values ---- */

/*
 * The scalar, [1] and [N], and integers, are the same timestep. One for all images is added in another
 * order than one an image: sums differ in their last bits.
 */
START_TEST(timesteps_of_any_kind) {
    sf_tensors *outputs[4] = {NULL};
    open_unet();
    ck_ok(ctx, run_with("timestep", SF_F32, DIMS(2), 37, &outputs[0]));
    ck_ok(ctx, run_with("timestep", SF_F32, DIMS(1), 37, &outputs[1]));
    ck_ok(ctx, run_with("timestep", SF_F32, 0, NULL, 37, &outputs[2]));
    ck_ok(ctx, run_with("timestep", SF_I64, 0, NULL, 37, &outputs[3]));
    const sf_tensor *one = sf_tensors_find(outputs[1], "sample");
    for (int i = 2; i < 4; i++)
        ck_assert_mem_eq(sf_tensors_find(outputs[i], "sample")->data, one->data, one->bytes);
    for (int64_t i = 0; i < sf_tensor_n_elements(one); i++) {
        double wanted = sf_tensor_get(sf_tensors_find(outputs[0], "sample"), i);
        ck_assert_double_eq_tol(sf_tensor_get(one, i), wanted, 1e-4 * (1 + fabs(wanted)));
    }
    for (int i = 0; i < 4; i++)
        sf_tensors_free(outputs[i]);
}
END_TEST

START_TEST(ids_out_of_range) {
    open_folder(test_model(""), "text_encoder", "models/emoji_clip/golden.safetensors");
    REFUSES(SF_ERROR_ARGUMENT, "element 0 of the input \"input_ids\" is 2048, not within 0 to 2047",
            "input_ids", SF_I64, DIMS(1, 3), 2048);
    REFUSES(SF_ERROR_ARGUMENT, "is -1, not within", "input_ids", SF_I32, DIMS(1, 3), -1);
    REFUSES(SF_ERROR_SHAPE, "\"input_ids\" is f32 [1, 3]; i64 [N, T] is wanted", "input_ids",
            SF_F32, DIMS(1, 3), 1);
    REFUSES(SF_ERROR_SHAPE, "a sequence of 33 ids; 32 is the most", "input_ids", SF_I64,
            DIMS(1, 33), 1);
}
END_TEST

START_TEST(class_labels_out_of_range) {
    open_folder(test_data("models/unet_class_table"), "unet",
                "models/unet_class_table/golden.safetensors");
    REFUSES(SF_ERROR_ARGUMENT, "\"class_labels\" is 5, not within 0 to 4", "class_labels", SF_I64,
            DIMS(2), 5);
    REFUSES(SF_ERROR_SHAPE, "\"class_labels\" is f32 [2]; i64 [2]", "class_labels", SF_F32, DIMS(2),
            1);
}
END_TEST

START_TEST(conditions_of_wrong_width) {
    open_folder(test_data("models/unet_sdxl"), "unet", "models/unet_sdxl/golden.safetensors");
    REFUSES(SF_ERROR_SHAPE, "together there must be 22", "time_ids", SF_F32, DIMS(2, 4), 1);
    REFUSES(SF_ERROR_SHAPE, "text_embeds has 8 channels", "text_embeds", SF_F32, DIMS(2, 8), 1);
}
END_TEST

/* i32 ids and f16 images are converted. */
START_TEST(other_types_are_converted) {
    sf_tensors *a = NULL, *b = NULL;
    open_folder(test_model(""), "text_encoder", "models/emoji_clip/golden.safetensors");
    ck_ok(ctx, run_with("input_ids", SF_I32, DIMS(1, 4), 40, &a));
    ck_ok(ctx, run_with("input_ids", SF_I64, DIMS(1, 4), 40, &b));
    const sf_tensor *x = sf_tensors_find(a, "pooler_output"),
                    *y = sf_tensors_find(b, "pooler_output");
    ck_assert_mem_eq(x->data, y->data, x->bytes);
    sf_tensors_free(a);
    sf_tensors_free(b);
    sf_component_free(component);
    component = NULL;
    golden_clear(&golden);
    a = b = NULL;
    open_folder(test_model("vae"), "vae_decoder", "models/emoji_vae/golden_decoder.safetensors");
    ck_ok(ctx, run_with("sample", SF_F16, DIMS(1, 4, 2, 2), 0.25, &a));
    ck_ok(ctx, run_with("sample", SF_F32, DIMS(1, 4, 2, 2), 0.25, &b));
    x = sf_tensors_find(a, "sample");
    y = sf_tensors_find(b, "sample");
    ck_assert_mem_eq(x->data, y->data, x->bytes);
    sf_tensors_free(a);
    sf_tensors_free(b);
}
END_TEST

/* ---- plans ---- */

START_TEST(plans_are_kept) {
    open_unet();
    const void *first = NULL;
    sf_tensors *outputs[3] = {NULL};
    for (int i = 0; i < 3; i++)
        ck_ok(ctx, sf_component_run(component, golden.inputs, &outputs[i]));
    ck_assert_int_eq(sf_component_n_plans(component), 1);
    first = sf_tensors_find(outputs[0], "sample")->data;
    ck_assert_mem_eq(first, sf_tensors_find(outputs[2], "sample")->data,
                     sf_tensors_find(outputs[2], "sample")->bytes);
    for (int i = 0; i < 3; i++)
        sf_tensors_free(outputs[i]);
    sf_tensors *other = NULL;
    ck_ok(ctx, run_with("encoder_hidden_states", SF_F32, DIMS(2, 6, 128), 1, &other));
    ck_assert_int_eq(sf_component_n_plans(component), 2);
    sf_tensors_free(other);
    ck_ok(ctx, sf_component_set_compute(component, SF_F16));
    ck_ok(ctx, sf_component_run(component, golden.inputs, &other));
    ck_assert_int_eq(sf_component_n_plans(component), 3);
    sf_tensors_free(other);
    ck_fails(ctx, sf_component_set_compute(component, SF_I64), SF_ERROR_ARGUMENT, "i64");
}
END_TEST

/* A run that fails leaves the component as it was. */
START_TEST(goes_on_after_a_failure) {
    sf_tensors *outputs = NULL;
    open_unet();
    ck_ok(ctx, sf_component_run(component, golden.inputs, &outputs));
    sf_tensors_free(outputs);
    REFUSES(SF_ERROR_SHAPE, "sample", "sample", SF_F32, DIMS(1), 1);
    ck_ok(ctx, sf_component_run(component, golden.inputs, &outputs));
    sf_tensors_free(outputs);
    ck_assert_int_eq(sf_component_n_plans(component), 1);
}
END_TEST

/* The component computes what it is given; looking for NaN is the pipeline's. */
START_TEST(nan_goes_through) {
    sf_tensors *outputs = NULL;
    open_unet();
    ck_ok(ctx, run_with("sample", SF_F32, DIMS(2, 4, 3, 3), NAN, &outputs));
    const float *data = sf_tensors_find(outputs, "sample")->data;
    ck_assert(isnan(data[0]));
    sf_tensors_free(outputs);
}
END_TEST

static void add_tests(Suite *suite, const char *name, void (*setup)(void)) {
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, wrong_shapes);
    tcase_add_test(tcase, missing_and_unknown);
    tcase_add_test(tcase, residuals_come_together);
    tcase_add_test(tcase, residuals_of_a_larger_batch);
    tcase_add_test(tcase, timesteps_of_any_kind);
    tcase_add_test(tcase, ids_out_of_range);
    tcase_add_test(tcase, class_labels_out_of_range);
    tcase_add_test(tcase, conditions_of_wrong_width);
    tcase_add_test(tcase, other_types_are_converted);
    tcase_add_test(tcase, plans_are_kept);
    tcase_add_test(tcase, goes_on_after_a_failure);
    tcase_add_test(tcase, nan_goes_through);
    suite_add_tcase(suite, tcase);
}

Suite *suite_models_component(void) {
    Suite *suite = suite_create("models_component");
    add_tests(suite, "reference", setup_reference);
    add_tests(suite, "cpu", setup_cpu);
    return suite;
}
