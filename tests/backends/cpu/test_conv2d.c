/*
 * conv2d of the cpu plugin against the reference: Winograd's tiles and gathered products, odd sizes of
 * images, channels and filters, all that the attributes allow, in all mixtures of types, on every
 * instruction set and several numbers of threads. The cases are drawn from all there are, the same ones
 * in every run.
 */
#include "tests/backends/cpu/cpu_test.h"

Suite *suite_backends_cpu_conv2d(void);

#define N_WINOGRAD 130
#define N_GATHERED 130
#define N_PICTURES 24

/* Relative to the largest. Winograd's transforms lose two bits more than a sum does, larger tiles three. */
#define TOLERANCE             8e-6
#define TOLERANCE_OF_PICTURES 2e-5

/* Most multiplications of a case, for the time that the reference takes. */
#define MOST_WORK             (INT64_C(1) << 22)
#define MOST_WORK_OF_PICTURES (INT64_C(1) << 24)

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* A convolution; letters as in core/ops/conv2d.c, C and O in all groups. */
typedef struct convolution {
    int64_t N, H, W, C, O, KH, KW;
    sf_conv2d_attributes a;
} convolution;

/* ---- what is drawn ---- */

static const int64_t sides[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 33};
static const int64_t channels[] = {1, 3, 7, 8, 16, 17, 130, 260};
static const int64_t filters[] = {1, 3, 15, 16, 17, 47, 48, 49, 50, 100};

/* Same, valid, larger than the kernel needs, and with each side its own. */
static const int32_t paddings[][4] = {
    {1, 1, 1, 1}, {1, 1, 1, 1}, {0, 0, 0, 0}, {0, 1, 0, 1}, {2, 0, 1, 3}, {5, 4, 0, 6},
};

static void draw_sizes(uint64_t *state, convolution *c) {
    c->N = 1 + 2 * (cpu_test_draw(state, 3) == 0);
    c->H = CPU_TEST_PICK(state, sides);
    c->W = CPU_TEST_PICK(state, sides);
    c->C = CPU_TEST_PICK(state, channels);
    c->O = CPU_TEST_PICK(state, filters);
    memcpy(c->a.padding, CPU_TEST_PICK(state, paddings), sizeof c->a.padding);
}

static convolution draw_winograd(uint64_t *state) {
    convolution c = {.KH = 3, .KW = 3, .a = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
    draw_sizes(state, &c);
    return c;
}

/* Large enough for the larger of Winograd's tiles, or just not. */
static convolution draw_picture(uint64_t *state) {
    static const int64_t sizes[] = {93, 94, 95, 96, 97, 98, 99, 102, 109};
    static const int64_t few[] = {8, 9, 17, 20}, of_output[] = {1, 3, 16, 17, 50};
    convolution c = draw_winograd(state);
    c.N = 1 + cpu_test_draw(state, 2);
    c.H = CPU_TEST_PICK(state, sizes);
    c.W = CPU_TEST_PICK(state, sizes);
    c.C = CPU_TEST_PICK(state, few);
    c.O = CPU_TEST_PICK(state, of_output);
    return c;
}

/* Depthwise, in groups of some channels, or in one. */
static void draw_groups(uint64_t *state, convolution *c) {
    static const int32_t groups[] = {2, 3, 5};
    c->a.groups = 1;
    switch (cpu_test_draw(state, 4)) {
    case 0:
        c->a.groups = (int32_t)c->C;
        c->O = c->C * (1 + cpu_test_draw(state, 2));
        break;
    case 1:
        c->a.groups = CPU_TEST_PICK(state, groups);
        c->C *= c->a.groups;
        c->O *= c->a.groups;
        break;
    default:
        break;
    }
}

static convolution draw_gathered(uint64_t *state) {
    static const int64_t kernels[] = {1, 2, 3, 4, 7};
    convolution c = {.KH = CPU_TEST_PICK(state, kernels), .KW = CPU_TEST_PICK(state, kernels)};
    for (int i = 0; i < 2; i++) {
        c.a.stride[i] = 1 + (int32_t)cpu_test_draw(state, 3);
        c.a.dilation[i] = 1 + (int32_t)cpu_test_draw(state, 2);
    }
    draw_sizes(state, &c);
    draw_groups(state, &c);
    return c;
}

static int64_t padded(const convolution *c, int axis) {
    return (axis ? c->W : c->H) + c->a.padding[2 * axis] + c->a.padding[2 * axis + 1];
}

static bool is_possible(const convolution *c, int64_t most_work) {
    return padded(c, 0) > c->a.dilation[0] * (c->KH - 1) &&
           padded(c, 1) > c->a.dilation[1] * (c->KW - 1) &&
           c->N * padded(c, 0) * padded(c, 1) * c->C / c->a.groups * c->O * c->KH * c->KW <=
               most_work;
}

/* ---- calls ---- */

static sf_tensor *operand(uint64_t *state, int n_dims, int64_t a, int64_t b, int64_t c, int64_t d) {
    static const sf_dtype types[] = {SF_F32, SF_F16, SF_BF16};
    sf_spec spec = {
        .dtype = CPU_TEST_PICK(state, types), .n_dims = n_dims, .dims = {a, b, c, d, 1}};
    return op_tensor(ctx, &spec, *state);
}

static op_call draw_call(uint64_t *state, const convolution *c) {
    op_call call = {.op = "conv2d", .n_inputs = 4, .attributes.conv2d = c->a};
    sf_spec y;
    call.inputs[0] = operand(state, 4, c->N, c->H, c->W, c->C);
    call.inputs[1] = operand(state, 4, c->O, c->C / c->a.groups, c->KH, c->KW);
    cpu_test_round_weight(&call);
    if (cpu_test_draw(state, 4) > 0)
        call.inputs[2] = operand(state, 1, c->O, 1, 1, 1);
    ck_ok(ctx, op_call_infer(ctx, &call, &y));
    if (cpu_test_draw(state, 2))
        call.inputs[3] = operand(state, 4, y.dims[0], y.dims[1], y.dims[2], y.dims[3]);
    call.attributes.conv2d.activation = (int32_t)cpu_test_draw(state, 7);
    return call;
}

static void check_case(uint64_t *state, const convolution *c, double tolerance) {
    op_call call = draw_call(state, c);
    sf_tensor *wanted = op_compute(ctx, &call);
    cpu_test_on_all(ctx, &call, wanted, tolerance);
    sf_tensor_free(wanted);
    cpu_test_free_inputs(&call);
}

static void check_drawn(uint64_t seed, convolution (*draw)(uint64_t *state), int64_t most_work,
                        double tolerance) {
    uint64_t state = seed;
    convolution c;
    do
        c = draw(&state);
    while (!is_possible(&c, most_work));
    check_case(&state, &c, tolerance);
}

START_TEST(winograd_agrees_with_the_reference) {
    check_drawn((uint64_t)_i, draw_winograd, MOST_WORK, TOLERANCE);
}
END_TEST

START_TEST(gathered_agrees_with_the_reference) {
    check_drawn((uint64_t)_i, draw_gathered, MOST_WORK, TOLERANCE);
}
END_TEST

START_TEST(pictures_agree_with_the_reference) {
    check_drawn((uint64_t)_i, draw_picture, MOST_WORK_OF_PICTURES, TOLERANCE_OF_PICTURES);
}
END_TEST

/* More tiles than are transformed at once, more channels than are multiplied at once. */
static const convolution large[] = {
    {3, 70, 66, 8, 17, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, 0}},
    {7, 22, 26, 9, 50, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, 0}},
    {3, 33, 35, 300, 5, 3, 3, {{1, 1}, {1, 1}, {0, 1, 2, 0}, 1, 0}},
    {2, 30, 33, 1300, 3, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, 0}},
    {1, 97, 100, 260, 3, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, 0}},
    {3, 96, 96, 9, 50, 3, 3, {{1, 1}, {1, 1}, {1, 1, 1, 1}, 1, 0}},
    {3, 41, 40, 50, 20, 3, 3, {{2, 2}, {1, 1}, {0, 1, 0, 1}, 1, 0}},
    {1, 70, 70, 20, 210, 1, 1, {{1, 1}, {1, 1}, {0, 0, 0, 0}, 1, 0}},
};
#define N_LARGE (int)(sizeof large / sizeof *large)

START_TEST(agrees_in_several_rounds) {
    uint64_t state = 1000 + (uint64_t)_i;
    check_case(&state, &large[_i], TOLERANCE_OF_PICTURES);
}
END_TEST

Suite *suite_backends_cpu_conv2d(void) {
    Suite *suite = suite_create("backends_cpu_conv2d");
    TCase *cases = tcase_create("conv2d");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, winograd_agrees_with_the_reference, 0, N_WINOGRAD);
    tcase_add_loop_test(cases, gathered_agrees_with_the_reference, 0, N_GATHERED);
    tcase_add_loop_test(cases, pictures_agree_with_the_reference, 0, N_PICTURES);
    tcase_add_loop_test(cases, agrees_in_several_rounds, 0, N_LARGE);
    suite_add_tcase(suite, cases);
    return suite;
}
