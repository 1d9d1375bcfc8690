/*
 * Products and 3x3 convolutions of half types by the kernels for matrix units, on the opencl plugin,
 * which computes in loops what units do: sizes around their tiles, operands that lie in wider ones, turned
 * or at odd places, everything that comes after a sum. The cases are drawn, the same ones in every run;
 * the last rows are as large as it takes for the large tiles. Each is one launch.
 */
#include <stdlib.h>

#include "core/context.h"
#include "core/graph.h"
#include "tests/backends/gpu/opencl_test.h"
#include "tests/ops/op_call.h"
#include "tests/support/plans.h"
#include "tests/support/random_graph.h"

Suite *suite_backends_gpu_units(void);

/* Both sides compute in f32: sums differ by their order, results of half types by one step. */
#define TOLERANCE 1e-5

#define N_DRAWN 24      /* of each op, for each size of groups */
#define LARGE   1000000 /* seeds from here on are of large tiles */

static const char *const group_sizes[] = {"256", "64"};
#define N_SIZES ((int)(sizeof group_sizes / sizeof *group_sizes))

#define PICK(random, array)                                                                        \
    (array)[random_below((random), (int64_t)(sizeof(array) / sizeof *(array)))]

/* ---- drawing ---- */

/* A graph of one op, and what goes in. */
typedef struct drawing {
    sf_context *ctx;
    sf_graph *graph;
    test_random random;
    sf_dtype type; /* of both factors */
    bool large;
    sf_spec specs[4];
    int n_inputs;
} drawing;

static int64_t below(drawing *d, int64_t limit) {
    return random_below(&d->random, limit);
}

static sf_value add_input(drawing *d, sf_dtype type, int n_dims, const int64_t *dims) {
    static const char *const names[] = {"0", "1", "2", "3"};
    sf_spec *spec = &d->specs[d->n_inputs];
    *spec = (sf_spec){.dtype = type, .n_dims = n_dims, .dims = {1, 1, 1, 1, 1}};
    memcpy(spec->dims, dims, (size_t)n_dims * sizeof *dims);
    return sf_input(d->graph, names[d->n_inputs++], type, n_dims, dims);
}

/*
 * A factor: as it is, as a part of a wider one which begins at any number or at eights of numbers, or with
 * its last two dimensions turned.
 */
static sf_value add_factor(drawing *d, int n_dims, const int64_t *dims, bool may_turn) {
    int64_t own[SF_MAX_DIMS], kind = below(d, 4), before = kind == 1 ? 1 + below(d, 9) : 8;
    int last = n_dims - 1, order[SF_MAX_DIMS] = {0, 1, 2, 3, 4};
    memcpy(own, dims, (size_t)n_dims * sizeof *dims);
    if (kind == 0)
        return add_input(d, d->type, n_dims, dims);
    if (kind == 3 && may_turn) {
        own[last] = dims[last - 1];
        own[last - 1] = dims[last];
        order[last] = last - 1;
        order[last - 1] = last;
        return sf_permute(d->graph, add_input(d, d->type, n_dims, own), order);
    }
    own[last] += before + (kind == 1 ? below(d, 8) : 8 * below(d, 2));
    return sf_slice(d->graph, add_input(d, d->type, n_dims, own), last, before, dims[last]);
}

static sf_value add_bias(drawing *d, int64_t n) {
    static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};
    return below(d, 3) ? add_input(d, PICK(&d->random, types), 1, &n) : SF_NO_VALUE;
}

static sf_value add_residual(drawing *d, int n_dims, const int64_t *dims) {
    static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};
    return below(d, 2) ? add_input(d, PICK(&d->random, types), n_dims, dims) : SF_NO_VALUE;
}

/* More rows than are few; around tiles and steps. */
static const int64_t rows[] = {9, 16, 31, 33, 64, 65, 130};
static const int64_t columns[] = {1, 2, 15, 16, 17, 40, 63, 64, 66, 129};
static const int64_t depths[] = {1, 7, 8, 15, 16, 32, 33, 40, 64, 72, 129, 200};

static sf_value draw_linear(drawing *d) {
    int64_t m = d->large ? 1030 : PICK(&d->random, rows);
    int64_t n = d->large ? 1410 : PICK(&d->random, columns), k = PICK(&d->random, depths);
    sf_attributes a = {.linear.activation = (int32_t)below(d, 7)};
    sf_value operands[4];
    operands[0] = add_factor(d, 2, (const int64_t[]){m, k}, false);
    operands[1] = add_factor(d, 2, (const int64_t[]){n, k}, false);
    operands[2] = add_bias(d, n);
    operands[3] = add_residual(d, 2, (const int64_t[]){m, n});
    return sf_node_add(d->graph, SF_OP_linear, operands, 4, &a);
}

static sf_value draw_geglu(drawing *d) {
    int64_t m = d->large ? 1030 : PICK(&d->random, rows);
    int64_t n = d->large ? 705 : PICK(&d->random, columns), k = PICK(&d->random, depths);
    sf_value x = add_factor(d, 2, (const int64_t[]){m, k}, false);
    sf_value weight = add_factor(d, 2, (const int64_t[]){2 * n, k}, false);
    return sf_linear_geglu(d->graph, x, weight, add_bias(d, 2 * n));
}

/* The batch is [2, 3], either matrix repeated in any of the two. */
static sf_value draw_matmul(drawing *d) {
    int64_t m = PICK(&d->random, rows), n = PICK(&d->random, columns), k = PICK(&d->random, depths);
    int64_t batch[2][2] = {{2, 3}, {2, 3}};
    bool turned = below(d, 2);
    m = d->large ? 500 : m;
    n = d->large ? 600 : n;
    batch[below(d, 2)][below(d, 2)] = 1;
    sf_value a = add_factor(d, 4, (const int64_t[]){batch[0][0], batch[0][1], m, k}, true);
    sf_value b = add_factor(
        d, 4, (const int64_t[]){batch[1][0], batch[1][1], turned ? n : k, turned ? k : n}, true);
    return sf_matmul(d->graph, a, b, turned, 0.5f);
}

static void draw_attributes(drawing *d, sf_conv2d_attributes *a) {
    for (int i = 0; i < 2; i++) {
        a->stride[i] = 1 + (int32_t)below(d, 2);
        a->dilation[i] = a->stride[i] == 1 ? 1 + (int32_t)below(d, 2) : 1;
    }
    for (int i = 0; i < 4; i++)
        a->padding[i] = (int32_t)below(d, 4);
    a->activation = (int32_t)below(d, 7);
}

static sf_value draw_conv2d(drawing *d) {
    static const int64_t sides[] = {5, 8, 15, 16, 17, 35};
    static const int64_t channels[] = {1, 3, 8, 15, 16, 24, 33, 40}, filters[] = {1, 2, 31, 64, 65};
    int64_t N = 1 + below(d, 2), O = PICK(&d->random, filters), C = PICK(&d->random, channels);
    int64_t H = d->large ? 100 : PICK(&d->random, sides),
            W = d->large ? 90 : PICK(&d->random, sides);
    sf_attributes a = {.conv2d.groups = 1};
    draw_attributes(d, &a.conv2d);
    O = d->large ? 140 : O;
    sf_value operands[4];
    operands[0] = add_factor(d, 4, (const int64_t[]){N, H, W, C}, true);
    operands[1] = add_input(d, d->type, 4, (const int64_t[]){O, C, 3, 3});
    operands[2] = add_bias(d, O);
    int64_t y[4] = {N, 0, 0, O};
    for (int i = 0; i < 2; i++)
        y[1 + i] = ((i ? W : H) + a.conv2d.padding[2 * i] + a.conv2d.padding[2 * i + 1] -
                    2 * a.conv2d.dilation[i] - 1) /
                       a.conv2d.stride[i] +
                   1;
    operands[3] = add_residual(d, 4, y);
    return sf_node_add(d->graph, SF_OP_conv2d, operands, 4, &a);
}

static sf_value (*const draws[])(drawing *d) = {draw_linear, draw_geglu, draw_matmul, draw_conv2d};
#define N_OPS ((int)(sizeof draws / sizeof *draws))

/* ---- one plan on both ---- */

static sf_tensor *run_on(sf_context *ctx, sf_backend *backend, uint64_t seed,
                         uint64_t *n_launches) {
    drawing d = {.ctx = ctx, .random = {.state = seed}, .large = seed >= LARGE};
    sf_tensor *inputs[4];
    const void *data[4];
    void *output;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &d.graph));
    d.type = seed / N_OPS % 2 ? SF_BF16 : SF_F16;
    sf_output(d.graph, "y", draws[seed % N_OPS](&d));
    sf_plan *plan = make_plan(ctx, d.graph, backend, NULL, true);
    uint64_t before = opencl_counters(ctx).n_launches;
    for (int i = 0; i < d.n_inputs; i++) {
        inputs[i] = op_tensor(ctx, &d.specs[i], seed * 8 + (uint64_t)i);
        data[i] = inputs[i]->data;
    }
    run_plan(ctx, plan, data, &output);
    *n_launches = opencl_counters(ctx).n_launches - before;
    sf_tensor *result = op_tensor(ctx, sf_plan_output_spec(plan, 0), 0);
    memcpy(result->data, output, result->bytes);
    for (int i = 0; i < d.n_inputs; i++)
        sf_tensor_free(inputs[i]);
    free(output);
    sf_plan_free(plan);
    return result;
}

static void check(sf_context *ctx, uint64_t seed) {
    uint64_t launches;
    sf_tensor *wanted = run_on(ctx, open_reference(ctx), seed, &launches);
    sf_tensor *result = run_on(ctx, ctx->backend, seed, &launches);
    double step = result->dtype == SF_F16 ? 0x1p-10 : 0x1p-7;
    double distance = op_distance(result, wanted, TOLERANCE, step);
    ck_assert_msg(distance <= 1, "seed %d: %g of the tolerance", (int)seed, distance);
    ck_assert_msg(launches == 1, "seed %d: %d launches", (int)seed, (int)launches);
    sf_tensor_free(wanted);
    sf_tensor_free(result);
}

/* ---- tests ---- */

START_TEST(kernels_agree_with_the_reference) {
    setenv("SFUMATO_OPENCL_FRAGMENTS", "always", 1);
    setenv("SFUMATO_OPENCL_GROUP", group_sizes[_i], 1);
    sf_context *ctx = opencl_context(1);
    for (uint64_t i = 0; i < N_OPS * N_DRAWN; i++)
        check(ctx, (uint64_t)(_i * N_OPS * N_DRAWN) + i);
    sf_context_free(ctx);
}
END_TEST

START_TEST(large_tiles_agree_with_the_reference) {
    setenv("SFUMATO_OPENCL_FRAGMENTS", "always", 1);
    sf_context *ctx = opencl_context(1);
    for (uint64_t i = 0; i < 4 * N_OPS; i++)
        check(ctx, LARGE + i);
    sf_context_free(ctx);
}
END_TEST

Suite *suite_backends_gpu_units(void) {
    Suite *suite = suite_create("backends_gpu_units");
    TCase *tcase = tcase_create("units");
    tcase_set_timeout(tcase, 300); /* the first time all kernels are compiled */
    opencl_add_test(tcase, kernels_agree_with_the_reference, N_SIZES);
    opencl_add_test(tcase, large_tiles_agree_with_the_reference, 1);
    suite_add_tcase(suite, tcase);
    return suite;
}
