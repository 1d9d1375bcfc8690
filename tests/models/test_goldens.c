/*
 * Components against diffusers and transformers: every case in tests/data/models (see
 * tests/oracle/make_model_goldens.py), on the reference, on the cpu plugin with each instruction set, and on
 * the opencl plugin.
 *
 * Tolerance: that of DESIGN.md for a whole component, |a - b| <= 1e-4 + 1e-3 |b|. Both sides round
 * f32 in their own order, and small groups of norms amplify it: the largest error here is a fifth
 * of that, in the case whose golden is as far from the result in double precision.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/tensor.h"
#include "models/component.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/models/golden.h"
#include "tests/support/backends.h"
#include "tests/support/support.h"

Suite *suite_models_goldens(void);

static const struct golden_case {
    const char *folder; /* in tests/data/models; with `emoji`, of the golden alone */
    const char *component;
    const char *golden;
    int emoji;
} cases[] = {
    {"clip_first_end", "text_encoder", "golden", 0},
    {"clip_projection", "text_encoder_2", "golden", 0},
    {"emoji_clip", "text_encoder", "golden", 1},
    {"emoji_unet", "unet", "golden", 1},
    {"emoji_unet_odd", "unet", "golden", 1},
    {"emoji_vae", "vae_decoder", "golden_decoder", 1},
    {"emoji_vae", "vae_encoder", "golden_encoder", 1},
    {"unet_class_projection", "unet", "golden", 0},
    {"unet_class_table", "unet", "golden", 0},
    {"unet_class_timestep", "unet", "golden", 0},
    {"unet_control", "unet", "golden", 0},
    {"unet_fourier", "unet", "golden", 0},
    {"unet_heads", "unet", "golden", 0},
    {"unet_linear", "unet", "golden", 0},
    {"unet_nested", "unet", "golden", 0},
    {"unet_resnet_size", "unet", "golden", 0},
    {"unet_sdxl", "unet", "golden", 0},
    {"unet_text", "unet", "golden", 0},
    {"vae_attention", "vae_decoder", "golden_decoder", 0},
    {"vae_attention", "vae_encoder", "golden_encoder", 0},
    {"vae_old_convolutions", "vae_decoder", "golden_decoder", 0},
    {"vae_old_convolutions", "vae_encoder", "golden_encoder", 0},
    {"vae_old_names", "vae_decoder", "golden_decoder", 0},
    {"vae_old_names", "vae_encoder", "golden_encoder", 0},
    {"vae_plain", "vae_decoder", "golden_decoder", 0},
    {"vae_plain", "vae_encoder", "golden_encoder", 0},
};

#define N_CASES ((int)(sizeof cases / sizeof *cases))

static sf_context *ctx;
static const char *backend; /* that ctx is on */

static void open_backend(int index) {
    ctx = test_context_on(index);
    backend = test_backend_name(index);
}

static sf_component *open_case(const struct golden_case *c, struct golden *golden) {
    char path[256];
    sf_component *component = NULL;
    snprintf(path, sizeof path, "models/%s/%s.safetensors", c->folder, c->golden);
    golden_load(ctx, test_data(path), golden);
    snprintf(path, sizeof path, "models/%s", c->folder);
    ck_ok(ctx, sf_component_load(ctx, c->emoji ? test_model("") : test_data(path), c->component,
                                 &component));
    return component;
}

static void check_close(const struct golden_case *c, const char *name, const sf_tensor *found,
                        const sf_tensor *wanted) {
    ck_assert_msg(found != NULL, "%s: there is no %s", c->folder, name);
    ck_assert_int_eq(found->dtype, SF_F32);
    ck_assert_int_eq(found->n_dims, wanted->n_dims);
    ck_assert_mem_eq(found->dims, wanted->dims, sizeof found->dims);
    const float *a = found->data, *b = wanted->data;
    for (int64_t i = 0; i < sf_tensor_n_elements(found); i++)
        ck_assert_msg(fabsf(a[i] - b[i]) <= 1e-4f + 1e-3f * fabsf(b[i]),
                      "%s, %s %s: element %lld of %s is %.9g, not %.9g", backend, c->folder,
                      c->component, (long long)i, name, (double)a[i], (double)b[i]);
}

/* What opencl lacks runs on the fallback. */
static void open_opencl(void) {
    ctx = opencl_context(0);
    backend = "opencl";
}

static void check_case(const struct golden_case *c) {
    struct golden golden;
    sf_tensors *outputs = NULL;
    sf_component *component = open_case(c, &golden);
    ck_ok(ctx, sf_component_run(component, golden.inputs, &outputs));
    ck_assert_int_eq(sf_tensors_count(outputs), sf_tensors_count(golden.outputs));
    for (int i = 0; i < sf_tensors_count(golden.outputs); i++) {
        const char *name = sf_tensors_name(golden.outputs, i);
        check_close(c, name, sf_tensors_find(outputs, name), sf_tensors_at(golden.outputs, i));
    }
    sf_tensors_free(outputs);
    sf_component_free(component);
    golden_clear(&golden);
}

START_TEST(as_the_oracle) {
    open_backend(_i / N_CASES);
    check_case(&cases[_i % N_CASES]);
    test_context_free(ctx);
}
END_TEST

START_TEST(as_the_oracle_on_opencl) {
    open_opencl();
    check_case(&cases[_i]);
    test_context_free(ctx);
}
END_TEST

/* The cosine of the angle between two tensors taken as vectors. */
static double cosine(const sf_tensor *a, const sf_tensor *b) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < sf_tensor_n_elements(a); i++) {
        double x = sf_tensor_get(a, i), y = sf_tensor_get(b, i);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

/*
 * Activations in half precision: DESIGN.md asks for 0.9999 of the trained model. bf16 has three
 * bits less than f16; the random models amplify rounding more than trained ones do.
 */
static void check_half(sf_dtype compute, bool emoji, double least) {
    for (int k = 0; k < N_CASES; k++) {
        struct golden golden;
        sf_tensors *outputs = NULL;
        if (emoji != (bool)cases[k].emoji)
            continue;
        sf_component *component = open_case(&cases[k], &golden);
        ck_ok(ctx, sf_component_set_compute(component, compute));
        ck_ok(ctx, sf_component_run(component, golden.inputs, &outputs));
        for (int i = 0; i < sf_tensors_count(outputs); i++) {
            const char *name = sf_tensors_name(outputs, i);
            double found = cosine(sf_tensors_at(outputs, i), sf_tensors_find(golden.outputs, name));
            ck_assert_msg(found >= least, "%s, %s %s: cosine %.7f of %s", backend, cases[k].folder,
                          cases[k].component, found, name);
        }
        sf_tensors_free(outputs);
        sf_component_free(component);
        golden_clear(&golden);
    }
}

/* GPUs round sums in other places than the host, and one random model amplifies that. */
static double least_of_random_f16(void) {
    return strcmp(backend, "opencl") == 0 || strcmp(backend, "cuda") == 0 ? 0.999 : 0.9999;
}

START_TEST(f16_activations) {
    open_backend(_i);
    check_half(SF_F16, true, 0.9999);
    check_half(SF_F16, false, least_of_random_f16());
    test_context_free(ctx);
}
END_TEST

START_TEST(bf16_activations) {
    open_backend(_i);
    check_half(SF_BF16, true, 0.9999);
    check_half(SF_BF16, false, 0.99);
    test_context_free(ctx);
}
END_TEST

START_TEST(half_activations_on_opencl) {
    open_opencl();
    check_half(_i ? SF_BF16 : SF_F16, true, 0.9999);
    check_half(_i ? SF_BF16 : SF_F16, false, _i ? 0.99 : least_of_random_f16());
    test_context_free(ctx);
}
END_TEST

Suite *suite_models_goldens(void) {
    Suite *suite = suite_create("models_goldens");
    TCase *tcase = tcase_create("goldens");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, as_the_oracle, 0, N_CASES * test_n_backends());
    tcase_add_loop_test(tcase, f16_activations, 0, test_n_backends());
    tcase_add_loop_test(tcase, bf16_activations, 0, test_n_backends());
    suite_add_tcase(suite, tcase);
    TCase *opencl = tcase_create("opencl");
    tcase_set_timeout(opencl, 300);
    opencl_add_test(opencl, as_the_oracle_on_opencl, N_CASES);
    opencl_add_test(opencl, half_activations_on_opencl, 2);
    suite_add_tcase(suite, opencl);
    return suite;
}
