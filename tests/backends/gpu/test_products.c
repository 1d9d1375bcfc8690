/*
 * linear, linear_geglu, matmul and conv2d of the opencl plugin: odd sizes, all that the attributes allow,
 * in all mixtures of types, with groups of every size, by its own kernels and by the library. The cases
 * are drawn from all there are, the same ones in every run. Large ones are compared with the cpu plugin,
 * which is faster, others with the reference.
 */
#include <stdlib.h>

#include "core/eager.h"
#include "tests/backends/cpu/cpu_test.h"
#include "tests/backends/gpu/opencl_test.h"

Suite *suite_backends_gpu_products(void);

#define N_DRAWN 24 /* of each op, for each group size */

/* Relative to the largest. Winograd's transforms lose two bits more than a sum does. */
#define TOLERANCE          8e-6
#define TOLERANCE_WINOGRAD 3e-5

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

/* ---- one call on a plugin ---- */

static sf_device_tensor *on_device(sf_context *gpu, const sf_tensor *tensor) {
    sf_device_tensor *copy = NULL;
    sf_spec spec = op_spec_of(tensor);
    ck_ok(gpu, sf_device_tensor_new(gpu->backend, &spec, &copy));
    ck_ok(gpu, sf_device_tensor_write(copy, tensor->data, tensor->bytes));
    return copy;
}

/* The call's output on the context's backend, in a tensor of ctx. */
static sf_tensor *compute_on(sf_context *gpu, const op_call *call) {
    const sf_plan_options options = {.backend = gpu->backend};
    sf_device_tensor *inputs[SF_MAX_INPUTS] = {NULL}, *output = NULL;
    sf_eager *eager = NULL;
    sf_spec spec;
    ck_ok(ctx, op_call_infer(ctx, call, &spec));
    sf_tensor *result = op_tensor(ctx, &spec, 1);
    ck_ok(gpu, sf_eager_new(gpu, &options, &eager));
    for (int i = 0; i < call->n_inputs; i++)
        inputs[i] = call->inputs[i] ? on_device(gpu, call->inputs[i]) : NULL;
    ck_ok(gpu, sf_device_tensor_new(gpu->backend, &spec, &output));
    ck_ok(gpu, sf_eager_run(eager, sf_op_find(call->op), (const sf_device_tensor *const *)inputs,
                            call->n_inputs, &call->attributes, output));
    ck_ok(gpu, sf_device_tensor_read(output, result->data, result->bytes));
    for (int i = 0; i < call->n_inputs; i++)
        sf_device_tensor_free(inputs[i]);
    sf_device_tensor_free(output);
    sf_eager_free(eager);
    return result;
}

static void compare(const op_call *call, const sf_tensor *result, const sf_tensor *wanted,
                    double tolerance) {
    double step = result->dtype == SF_F16 ? 1.0 / 1024 : result->dtype == SF_BF16 ? 1.0 / 128 : 0;
    double distance = op_distance(result, wanted, tolerance, step);
    ck_assert_msg(distance <= 1, "%s: %g of the tolerance", call->op, distance);
}

/* Against the reference. */
static void check(sf_context *gpu, op_call *call) {
    sf_tensor *wanted = op_compute(ctx, call), *result = compute_on(gpu, call);
    compare(call, result, wanted, TOLERANCE);
    sf_tensor_free(wanted);
    sf_tensor_free(result);
    cpu_test_free_inputs(call);
}

/* ---- what is drawn ---- */

static const int64_t rows[] = {1, 2, 7, 8, 9, 31, 33, 64, 65, 130};
static const int64_t columns[] = {1, 3, 15, 16, 17, 32, 33, 64, 66, 129};
static const int64_t depths[] = {1, 2, 15, 16, 17, 32, 33, 100, 257};

static sf_tensor *operand(uint64_t *state, int n_dims, int64_t a, int64_t b, int64_t c, int64_t d) {
    static const sf_dtype types[] = {SF_F32, SF_F32, SF_F16, SF_BF16};
    sf_spec spec = {
        .dtype = CPU_TEST_PICK(state, types), .n_dims = n_dims, .dims = {a, b, c, d, 1}};
    return op_tensor(ctx, &spec, *state);
}

static op_call draw_linear(uint64_t *state) {
    int64_t m = CPU_TEST_PICK(state, rows), n = CPU_TEST_PICK(state, columns);
    int64_t k = CPU_TEST_PICK(state, depths);
    op_call call = {.op = "linear", .n_inputs = 4};
    call.inputs[0] = operand(state, 2, m, k, 1, 1);
    call.inputs[1] = operand(state, 2, n, k, 1, 1);
    call.inputs[2] = cpu_test_draw(state, 3) ? operand(state, 1, n, 1, 1, 1) : NULL;
    call.inputs[3] = cpu_test_draw(state, 2) ? operand(state, 2, m, n, 1, 1) : NULL;
    call.attributes.linear.activation = (int32_t)cpu_test_draw(state, 7);
    return call;
}

static op_call draw_geglu(uint64_t *state) {
    int64_t m = CPU_TEST_PICK(state, rows), n = CPU_TEST_PICK(state, columns);
    int64_t k = CPU_TEST_PICK(state, depths);
    op_call call = {.op = "linear_geglu", .n_inputs = 3};
    call.inputs[0] = operand(state, 2, m, k, 1, 1);
    call.inputs[1] = operand(state, 2, 2 * n, k, 1, 1);
    call.inputs[2] = cpu_test_draw(state, 3) ? operand(state, 1, 2 * n, 1, 1, 1) : NULL;
    return call;
}

/* The batch is [2, 3], either matrix repeated in any of the two. */
static op_call draw_matmul(uint64_t *state) {
    int64_t m = CPU_TEST_PICK(state, rows), n = CPU_TEST_PICK(state, columns);
    int64_t k = CPU_TEST_PICK(state, depths);
    int64_t batch[2][2] = {{2, 3}, {2, 3}};
    bool turned = cpu_test_draw(state, 2);
    op_call call = {.op = "matmul", .n_inputs = 2};
    batch[cpu_test_draw(state, 2)][cpu_test_draw(state, 2)] = 1;
    call.inputs[0] = operand(state, 4, batch[0][0], batch[0][1], m, k);
    call.inputs[1] = operand(state, 4, batch[1][0], batch[1][1], turned ? n : k, turned ? k : n);
    call.attributes.matmul.transpose_b = turned;
    call.attributes.matmul.scale = 0.5f;
    return call;
}

static void draw_attributes(uint64_t *state, sf_conv2d_attributes *a) {
    for (int i = 0; i < 2; i++) {
        a->stride[i] = 1 + (int32_t)cpu_test_draw(state, 3);
        a->dilation[i] = 1 + (int32_t)cpu_test_draw(state, 2);
    }
    for (int i = 0; i < 4; i++)
        a->padding[i] = (int32_t)cpu_test_draw(state, 4);
    a->activation = (int32_t)cpu_test_draw(state, 7);
}

/* Channels and filters are of a group; images are large enough for any of the kernels. */
static op_call draw_conv2d(uint64_t *state) {
    static const int64_t sides[] = {7, 8, 11}, kernels[] = {1, 2, 3, 4};
    static const int64_t channels[] = {1, 3, 15, 16, 17, 33}, filters[] = {1, 3, 7, 8, 17, 65};
    static const int32_t groups[] = {1, 1, 2, 3};
    int64_t c = CPU_TEST_PICK(state, channels), o = CPU_TEST_PICK(state, filters);
    int64_t kh = CPU_TEST_PICK(state, kernels), kw = CPU_TEST_PICK(state, kernels);
    int32_t g = CPU_TEST_PICK(state, groups);
    op_call call = {.op = "conv2d", .n_inputs = 4, .attributes.conv2d.groups = g};
    sf_spec y;
    draw_attributes(state, &call.attributes.conv2d);
    call.inputs[0] =
        operand(state, 4, 2, CPU_TEST_PICK(state, sides), CPU_TEST_PICK(state, sides), c * g);
    call.inputs[1] = operand(state, 4, o * g, c, kh, kw);
    call.inputs[2] = cpu_test_draw(state, 3) ? operand(state, 1, o * g, 1, 1, 1) : NULL;
    ck_ok(ctx, op_call_infer(ctx, &call, &y));
    if (cpu_test_draw(state, 2))
        call.inputs[3] = operand(state, 4, y.dims[0], y.dims[1], y.dims[2], y.dims[3]);
    return call;
}

static op_call (*const draws[])(uint64_t *state) = {draw_linear, draw_geglu, draw_matmul,
                                                    draw_conv2d};
#define N_OPS ((int)(sizeof draws / sizeof *draws))

/* ---- tests ---- */

static const char *const group_sizes[] = {"256", "128", "64", "32"};
#define N_SIZES ((int)(sizeof group_sizes / sizeof *group_sizes))

START_TEST(kernels_agree_with_the_reference) {
    setenv("SFUMATO_OPENCL_GROUP", group_sizes[_i], 1);
    setenv("SFUMATO_OPENCL_BLAS", "never", 1);
    sf_context *gpu = opencl_context(1);
    for (int i = 0; i < N_OPS * N_DRAWN; i++) {
        uint64_t state = (uint64_t)(1000 * _i + i);
        op_call call = draws[i % N_OPS](&state);
        check(gpu, &call);
    }
    sf_context_free(gpu);
}
END_TEST

START_TEST(the_library_agrees_with_the_reference) {
    setenv("SFUMATO_OPENCL_BLAS", "always", 1);
    sf_context *gpu = opencl_context(1);
    for (int i = 0; i < 2 * N_DRAWN; i++) {
        uint64_t state = (uint64_t)i;
        op_call call = i % 2 ? draw_linear(&state) : draw_matmul(&state);
        check(gpu, &call);
    }
    ck_assert_uint_gt(opencl_counters(gpu).n_products, 0);
    sf_context_free(gpu);
}
END_TEST

/* The library is for large products: small models never wait until it is compiled. */
START_TEST(small_products_are_not_the_library_s) {
    unsetenv("SFUMATO_OPENCL_BLAS");
    sf_context *gpu = opencl_context(1);
    uint64_t state = 1;
    op_call call = draw_linear(&state);
    check(gpu, &call);
    ck_assert_uint_eq(opencl_counters(gpu).n_products, 0);
    ck_assert_uint_eq(opencl_counters(gpu).n_launches, 1);
    sf_context_free(gpu);
}
END_TEST

/* Sizes and padding [top, bottom, left, right] of 3x3 convolutions, and what they launch. */
static const struct {
    int64_t n, height, width, channels, filters;
    int32_t padding[4];
    uint64_t n_launches;
} large[] = {
    {1, 64, 66, 128, 130, {1, 1, 1, 1}, 4},
    {2, 67, 66, 129, 128, {0, 1, 2, 0}, 4},
    {1, 210, 206, 128, 128, {1, 1, 1, 1}, 7}, /* in two rounds */
    {1, 64, 63, 128, 128, {1, 1, 1, 1}, 1},   /* just too small */
};
#define N_LARGE ((int)(sizeof large / sizeof *large))

static op_call large_call(int i, uint64_t *state) {
    op_call call = {
        .op = "conv2d",
        .n_inputs = 4,
        .attributes.conv2d = {
            .stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .activation = SF_ACTIVATION_SILU}};
    sf_spec y;
    memcpy(call.attributes.conv2d.padding, large[i].padding, sizeof large[i].padding);
    call.inputs[0] =
        operand(state, 4, large[i].n, large[i].height, large[i].width, large[i].channels);
    call.inputs[1] = operand(state, 4, large[i].filters, large[i].channels, 3, 3);
    call.inputs[2] = operand(state, 1, large[i].filters, 1, 1, 1);
    ck_ok(ctx, op_call_infer(ctx, &call, &y));
    call.inputs[3] = operand(state, 4, y.dims[0], y.dims[1], y.dims[2], y.dims[3]);
    return call;
}

static sf_context *cpu_context(void) {
    sf_context_options options;
    sf_context *cpu = NULL;
    sf_context_options_init(&options);
    options.log = NULL;
    options.backend = "cpu";
    options.strict = 1;
    ck_assert_int_eq(sf_context_new(&options, &cpu), SF_OK);
    ck_ok(cpu, sf_context_open_backend(cpu));
    return cpu;
}

START_TEST(large_convolutions_agree_with_the_cpu_plugin) {
    setenv("SFUMATO_OPENCL_BLAS", "never", 1);
    uint64_t state = (uint64_t)_i;
    sf_context *gpu = opencl_context(1), *cpu = cpu_context();
    op_call call = large_call(_i, &state);
    sf_tensor *wanted = compute_on(cpu, &call), *result = compute_on(gpu, &call);
    compare(&call, result, wanted, TOLERANCE_WINOGRAD);
    ck_assert_uint_eq(opencl_counters(gpu).n_launches, large[_i].n_launches);
    sf_tensor_free(wanted);
    sf_tensor_free(result);
    cpu_test_free_inputs(&call);
    sf_context_free(cpu);
    sf_context_free(gpu);
}
END_TEST

Suite *suite_backends_gpu_products(void) {
    Suite *suite = suite_create("backends_gpu_products");
    TCase *cases = tcase_create("products");
    tcase_add_checked_fixture(cases, setup, teardown);
    opencl_add_test(cases, kernels_agree_with_the_reference, N_SIZES);
    opencl_add_test(cases, the_library_agrees_with_the_reference, 1);
    opencl_add_test(cases, small_products_are_not_the_library_s, 1);
    opencl_add_test(cases, large_convolutions_agree_with_the_cpu_plugin, N_LARGE);
    suite_add_tcase(suite, cases);
    return suite;
}
