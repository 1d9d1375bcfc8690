/*
 * attention and group_norm of the opencl plugin on shapes that the conformance grid does not have: heads
 * of every width, by fragments too, queries, keys and values that are columns of wider tensors, all types and masks; and
 * maps so large that they are normalised in two launches.
 */
#include <math.h>
#include <stdlib.h>

#include "core/context.h"
#include "core/graph.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/ops/op_call.h"
#include "tests/support/plans.h"
#include "tests/support/random_graph.h"

Suite *suite_backends_gpu_opencl_attention(void);

/*
 * Both sides compute in f32: sums differ by their order, results of half types by one step. Matrix units
 * multiply weights that are narrowed first, each by half a step of its size: y, which is a mean of
 * values, moves by at most that of their distance to it.
 */
#define TOLERANCE 1e-5

static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};

/* ---- one plan on both ---- */

/* The inputs that a graph of one op was drawn with. */
typedef struct drawing {
    sf_spec specs[4];
    int n_inputs;
    bool has_infinities;   /* in the last input, of f32 */
    const sf_dtype *dtype; /* of all but a mask; NULL: any */
    int64_t unit;          /* columns to the left of an input are such multiples */
    bool narrows;          /* weights */
} drawing;

typedef sf_graph *graph_builder(sf_context *ctx, uint64_t seed, drawing *drawn);

static void fill(sf_context *ctx, const drawing *drawn, uint64_t seed, sf_tensor **inputs) {
    for (int i = 0; i < drawn->n_inputs; i++)
        inputs[i] = op_tensor(ctx, &drawn->specs[i], seed * 8 + (uint64_t)i);
    if (!drawn->has_infinities)
        return;
    sf_tensor *mask = inputs[drawn->n_inputs - 1];
    for (int64_t i = 0; i < sf_tensor_n_elements(mask); i++)
        if (((float *)mask->data)[i] > 0.4f)
            ((float *)mask->data)[i] = -INFINITY;
}

static sf_tensor *run_on(sf_context *ctx, sf_backend *backend, graph_builder *build, uint64_t seed,
                         uint64_t *n_launches, drawing *drawn) {
    sf_tensor *inputs[4];
    const void *data[4];
    void *output;
    *drawn = (drawing){.unit = 1};
    sf_plan *plan = make_plan(ctx, build(ctx, seed, drawn), backend, NULL, true);
    uint64_t before = opencl_counters(ctx).n_launches;
    fill(ctx, drawn, seed, inputs);
    for (int i = 0; i < drawn->n_inputs; i++)
        data[i] = inputs[i]->data;
    run_plan(ctx, plan, data, &output);
    *n_launches = opencl_counters(ctx).n_launches - before;
    sf_tensor *result = op_tensor(ctx, sf_plan_output_spec(plan, 0), 0);
    memcpy(result->data, output, result->bytes);
    for (int i = 0; i < drawn->n_inputs; i++)
        sf_tensor_free(inputs[i]);
    free(output);
    sf_plan_free(plan);
    return result;
}

static void check(sf_context *ctx, graph_builder *build, uint64_t seed, uint64_t n_launches) {
    uint64_t launches;
    drawing drawn;
    sf_tensor *wanted = run_on(ctx, open_reference(ctx), build, seed, &launches, &drawn);
    sf_tensor *result = run_on(ctx, ctx->backend, build, seed, &launches, &drawn);
    double step = result->dtype == SF_F16 ? 0x1p-10 : result->dtype == SF_BF16 ? 0x1p-7 : 0;
    double absolute = drawn.narrows ? step / 2 : TOLERANCE;
    double distance = op_distance(result, wanted, absolute, step);
    ck_assert_msg(distance <= 1, "seed %d: %g of the tolerance", (int)seed, distance);
    ck_assert_msg(launches == n_launches, "seed %d: %d launches", (int)seed, (int)launches);
    sf_tensor_free(wanted);
    sf_tensor_free(result);
}

/* ---- attention ---- */

#define N_ATTENTIONS 48
#define N_GROUPS     3

#define PICK(random, array)                                                                        \
    (array)[random_below((random), (int64_t)(sizeof(array) / sizeof *(array)))]

/* Around a tile of queries, one of keys, and what a kernel takes of a head. */
static const int64_t query_counts[] = {1, 7, 16, 33, 64, 65, 129};
static const int64_t key_counts[] = {1, 2, 48, 49, 63, 64, 65, 77, 130};
static const int64_t widths[] = {1,  5,  16,  17,  40,  48,  49,  64,
                                 80, 81, 128, 129, 160, 161, 256, 257};
/* Of heads that units take; those whose rows are copied 16 bytes at a time. */
static const int64_t odd_widths[] = {1, 7, 17, 39, 49, 72, 100, 161, 255};
static const int64_t even_widths[] = {8, 16, 40, 48, 64, 72, 80, 96, 128, 160, 256};

/* [B, rows, columns] as columns of something wider, a few of which are on either side. */
static sf_value wide_input(sf_graph *g, test_random *random, drawing *drawn, const char *name,
                           int64_t B, int64_t rows, int64_t columns) {
    int64_t before = random_below(random, 4) * drawn->unit;
    int64_t after = random_below(random, 4) * drawn->unit;
    sf_spec *spec = &drawn->specs[drawn->n_inputs++];
    *spec = (sf_spec){.dtype = drawn->dtype ? *drawn->dtype : PICK(random, types),
                      .n_dims = 3,
                      .dims = {B, rows, before + columns + after, 1, 1}};
    return sf_slice(g, sf_input(g, name, spec->dtype, 3, spec->dims), 2, before, columns);
}

static sf_value drawn_mask(sf_graph *g, test_random *random, drawing *drawn, int64_t B,
                           int64_t heads, int64_t T, int64_t S) {
    sf_spec *spec = &drawn->specs[drawn->n_inputs];
    if (random_below(random, 2))
        return SF_NO_VALUE;
    *spec = (sf_spec){.dtype = PICK(random, types),
                      .n_dims = 4,
                      .dims = {random_below(random, 2) ? B : 1, random_below(random, 2) ? heads : 1,
                               random_below(random, 2) ? T : 1, S, 1}};
    drawn->n_inputs++;
    drawn->has_infinities = spec->dtype == SF_F32;
    return sf_input(g, "mask", spec->dtype, 4, spec->dims);
}

static sf_graph *build_heads(sf_context *ctx, test_random *random, drawing *drawn, int64_t D,
                             int64_t E) {
    sf_graph *g = NULL;
    int64_t B = 1 + random_below(random, 2), heads = 1 + random_below(random, 3);
    int64_t T = PICK(random, query_counts), S = PICK(random, key_counts);
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    sf_value q = wide_input(g, random, drawn, "q", B, T, heads * D);
    sf_value k = wide_input(g, random, drawn, "k", B, S, heads * D);
    sf_value v = wide_input(g, random, drawn, "v", B, S, heads * E);
    sf_value mask = drawn_mask(g, random, drawn, B, heads, T, S);
    const sf_attention_attributes attributes = {.n_heads = (int32_t)heads,
                                                .causal = random_below(random, 3) == 0,
                                                .scale = 1 / sqrtf((float)D)};
    sf_output(g, "y", sf_attention(g, q, k, v, mask, attributes));
    return g;
}

static sf_graph *build_attention(sf_context *ctx, uint64_t seed, drawing *drawn) {
    test_random random = {.state = seed};
    int64_t D = PICK(&random, widths), E = random_below(&random, 2) ? D : PICK(&random, widths);
    return build_heads(ctx, &random, drawn, D, E);
}

/* All of one half type, which is the seed's; every second one with copies of 16 bytes. */
static sf_graph *build_halves(sf_context *ctx, uint64_t seed, drawing *drawn) {
    test_random random = {.state = seed};
    bool even = random_below(&random, 2);
    int64_t D = even ? PICK(&random, even_widths) : PICK(&random, odd_widths), E = D;
    if (random_below(&random, 2))
        E = even ? PICK(&random, even_widths) : PICK(&random, odd_widths);
    drawn->dtype = &types[1 + seed % 2];
    drawn->unit = even ? 8 : 1;
    drawn->narrows = true;
    return build_heads(ctx, &random, drawn, D, E);
}

static const char *const group_sizes[N_GROUPS] = {"256", "64", "32"};

START_TEST(attention_of_any_shape_is_one_launch) {
    setenv("SFUMATO_OPENCL_GROUP", group_sizes[_i], 1);
    sf_context *ctx = opencl_context(1);
    for (uint64_t seed = 0; seed < N_ATTENTIONS; seed++)
        check(ctx, build_attention, seed * N_GROUPS + (uint64_t)_i, 1);
    sf_context_free(ctx);
    unsetenv("SFUMATO_OPENCL_GROUP");
}
END_TEST

static const char *const units_group_sizes[] = {"256", "64"};
#define N_UNITS_GROUPS ((int)(sizeof units_group_sizes / sizeof *units_group_sizes))

/* f16 in one group, bf16 in the next: what a type differs in is not what a group does. */
START_TEST(attention_of_halves_by_units) {
    setenv("SFUMATO_OPENCL_GROUP", units_group_sizes[_i], 1);
    setenv("SFUMATO_OPENCL_FRAGMENTS", "always", 1);
    sf_context *ctx = opencl_context(1);
    for (uint64_t seed = 0; seed < N_ATTENTIONS; seed++)
        check(ctx, build_halves, seed * (uint64_t)N_UNITS_GROUPS + (uint64_t)_i, 1);
    sf_context_free(ctx);
    unsetenv("SFUMATO_OPENCL_FRAGMENTS");
    unsetenv("SFUMATO_OPENCL_GROUP");
}
END_TEST

/* ---- group_norm ---- */

/* More numbers of a group of channels than one launch takes, in slices that are not all full. */
static sf_graph *build_group_norm(sf_context *ctx, uint64_t seed, drawing *drawn) {
    static const struct {
        int64_t dims[4];
        int groups;
    } shapes[] = {{{2, 96, 97, 8}, 1}, {{1, 331, 200, 6}, 3}, {{2, 1, 23456, 15}, 5}};
    sf_graph *g = NULL;
    const int64_t *dims = shapes[seed % 3].dims;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &g));
    drawn->n_inputs = 3;
    drawn->specs[0] = (sf_spec){
        .dtype = types[seed / 3], .n_dims = 4, .dims = {dims[0], dims[1], dims[2], dims[3], 1}};
    for (int i = 1; i < 3; i++)
        drawn->specs[i] = (sf_spec)SF_SPEC(F32, dims[3]);
    sf_value x = sf_input(g, "x", drawn->specs[0].dtype, 4, dims);
    sf_value scale = sf_input(g, "scale", SF_F32, SF_DIMS(dims[3]));
    sf_value shift = sf_input(g, "shift", SF_F32, SF_DIMS(dims[3]));
    sf_output(g, "y", sf_group_norm(g, x, scale, shift, shapes[seed % 3].groups, 1e-5f));
    return g;
}

START_TEST(large_maps_are_normalised_in_two_launches) {
    sf_context *ctx = opencl_context(1);
    for (uint64_t seed = 0; seed < 9; seed++)
        check(ctx, build_group_norm, seed, 2);
    sf_context_free(ctx);
}
END_TEST

Suite *suite_backends_gpu_opencl_attention(void) {
    Suite *suite = suite_create("backends_gpu_opencl_attention");
    TCase *tcase = tcase_create("attention");
    tcase_set_timeout(tcase, 240); /* the first time all kernels are compiled */
    opencl_add_test(tcase, attention_of_any_shape_is_one_launch, N_GROUPS);
    opencl_add_test(tcase, attention_of_halves_by_units, N_UNITS_GROUPS);
    opencl_add_test(tcase, large_maps_are_normalised_in_two_launches, 1);
    suite_add_tcase(suite, tcase);
    return suite;
}
