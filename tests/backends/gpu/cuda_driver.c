/*
 * The functions of driver.h, as the cuda plugin has them, without the library: run by test_cuda.c, with
 * the stand-in before the real driver or on a GPU.
 *
 *     cuda_driver products|memory|launches
 *
 * Exit status 1 and lines on stderr: what is not as it should be.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/gpu/driver.h"
#include "backends/gpu/kernels/unary.h"

static int n_failures;
static char message[2048];

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    n_failures++;
}

#define CHECK(expression, ...)                                                                     \
    do {                                                                                           \
        if (!(expression))                                                                         \
            fail(__VA_ARGS__);                                                                     \
    } while (0)

#define MUST(expression)                                                                           \
    do {                                                                                           \
        message[0] = '\0';                                                                         \
        sf_status must_ = (expression);                                                            \
        if (must_ != SF_OK) {                                                                      \
            fail("%s: status %d: %s", #expression, (int)must_, message);                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- the host ---- */

static void host_log(const sf_host *host, sf_log_level level, const char *format, ...) {
    va_list arguments;
    (void)host;
    (void)level;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static sf_status host_fail(const sf_host *host, sf_status status, const char *format, ...) {
    va_list arguments;
    (void)host;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return status;
}

static bool has_no_memory;

static void *host_resize(const sf_host *host, void *block, size_t bytes) {
    (void)host;
    if (bytes && has_no_memory)
        return NULL;
    if (bytes)
        return realloc(block, bytes);
    free(block);
    return NULL;
}

static const sf_host host = {
    .struct_size = sizeof(sf_host),
    .log = host_log,
    .fail = host_fail,
    .resize = host_resize,
};

static sf_status host_check(sf_status status, sf_status wanted, const char *part) {
    CHECK(status == wanted, "status %d, not %d: %s", (int)status, (int)wanted, message);
    CHECK(strstr(message, part), "no \"%s\" in: %s", part, message);
    return status;
}

/* ---- numbers that all types have exactly: eighths from -1 to 1 ---- */

static uint32_t state = 1;

static float next_value(void) {
    state = state * 1664525u + 1013904223u;
    return (float)((int)(state >> 24) % 17 - 8) / 8.0f;
}

static size_t element_bytes(int32_t dtype) {
    return dtype == SF_F32 ? 4 : 2;
}

static void put(unsigned char *data, int32_t dtype, int64_t i, float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t half = (uint16_t)(bits >> 16);
    if (dtype == SF_F16)
        half = (uint16_t)((half & 0x8000) |
                          (value == 0 ? 0 : ((bits >> 13 & 0x3ffff) - (112u << 10))));
    memcpy(data + (size_t)i * element_bytes(dtype), dtype == SF_F32 ? (void *)&bits : (void *)&half,
           element_bytes(dtype));
}

static float get(const unsigned char *data, int32_t dtype, int64_t i) {
    float value;
    uint16_t half;
    uint32_t bits;
    if (dtype == SF_F32) {
        memcpy(&value, data + 4 * i, 4);
        return value;
    }
    memcpy(&half, data + 2 * i, 2);
    bits = (uint32_t)half << 16;
    if (dtype == SF_F16) {
        int exponent = half >> 10 & 0x1f;
        value = exponent ? ldexpf((float)(1024 + (half & 0x3ff)), exponent - 25)
                         : ldexpf((float)(half & 0x3ff), -24);
        return half & 0x8000 ? -value : value;
    }
    memcpy(&value, &bits, 4);
    return value;
}

/* ---- products ---- */

typedef struct product_case {
    int64_t m, n, k, batch;
    int64_t gaps;   /* elements between rows and between matrices that are not of the product */
    int64_t offset; /* elements before the first */
    bool transpose_b, shared_b, bias;
    float alpha, beta;
} product_case;

static const product_case product_cases[] = {
    {1, 1, 1, 1, 0, 0, false, false, false, 1, 0},
    {3, 5, 7, 1, 0, 0, false, false, false, 1, 0},
    {5, 3, 7, 1, 0, 0, true, false, true, 1, 0},
    {17, 33, 65, 1, 3, 0, true, false, false, 0.5f, 0},
    {17, 33, 65, 1, 3, 1, false, false, true, 2, 1},
    {1, 40, 16, 1, 0, 8, true, false, true, 1, 0},
    {40, 1, 16, 1, 0, 16, false, false, false, 1, 0},
    {9, 6, 12, 4, 0, 0, false, false, false, 1, 0},
    {9, 6, 12, 4, 5, 3, true, false, false, 0.125f, 0},
    {8, 16, 32, 3, 0, 0, false, true, true, 1, 0},
    {8, 16, 32, 3, 2, 0, true, true, true, 1, 0.5f},
    {300, 260, 40, 1, 0, 0, true, false, true, 1, 0}, /* takes a workspace */
};

typedef struct operand {
    gpu_matrix matrix;
    int64_t n_rows, row, n_batch, n_elements;
    unsigned char *data; /* owned */
} operand;

static operand new_operand(gpu_device *device, const product_case *c, int32_t dtype, int64_t n_rows,
                           int64_t row, bool shared) {
    operand made = {.n_rows = n_rows, .row = row, .n_batch = shared ? 1 : c->batch};
    made.matrix = (gpu_matrix){.dtype = dtype, .row_stride = row + c->gaps};
    made.matrix.batch_stride = shared ? 0 : n_rows * made.matrix.row_stride + c->gaps;
    made.matrix.place.offset = (uint64_t)c->offset * element_bytes(dtype);
    made.n_elements = c->offset + made.n_batch * (n_rows * made.matrix.row_stride + c->gaps);
    made.data = malloc((size_t)made.n_elements * element_bytes(dtype));
    for (int64_t i = 0; i < made.n_elements; i++)
        put(made.data, dtype, i, next_value());
    MUST(gpu_driver_allocate(device, (uint64_t)made.n_elements * element_bytes(dtype),
                             &made.matrix.place.memory));
    MUST(gpu_driver_upload(device, (gpu_place){made.matrix.place.memory, 0}, made.data,
                           (uint64_t)made.n_elements * element_bytes(dtype), true));
    return made;
}

static void free_operand(gpu_device *device, operand *freed) {
    gpu_driver_free(device, freed->matrix.place.memory);
    free(freed->data);
}

static int64_t at(const product_case *c, const operand *x, int64_t batch, int64_t row,
                  int64_t column) {
    return c->offset + batch * x->matrix.batch_stride + row * x->matrix.row_stride + column;
}

static double sum_of(const product_case *c, const operand *a, const operand *b, int64_t batch,
                     int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < c->k; k++) {
        int64_t from_b = c->transpose_b ? at(c, b, batch, j, k) : at(c, b, batch, k, j);
        sum += (double)get(a->data, a->matrix.dtype, at(c, a, batch, i, k)) *
               (double)get(b->data, b->matrix.dtype, from_b);
    }
    return sum;
}

/* Every number of the result, and every one between them, which must be as it was. */
static void check_result(const product_case *c, const operand *a, const operand *b,
                         const operand *y, const unsigned char *bias, const unsigned char *result) {
    int32_t dtype = y->matrix.dtype;
    unsigned char *wanted = malloc((size_t)y->n_elements * element_bytes(dtype));
    double relative = dtype == SF_F32 ? 1e-6 : dtype == SF_F16 ? 0x1p-10 : 0x1p-7;
    memcpy(wanted, y->data, (size_t)y->n_elements * element_bytes(dtype));
    for (int64_t batch = 0; batch < c->batch; batch++)
        for (int64_t i = 0; i < c->m; i++)
            for (int64_t j = 0; j < c->n; j++) {
                int64_t to = at(c, y, batch, i, j);
                double value = (double)c->alpha * sum_of(c, a, b, batch, i, j) +
                               (double)c->beta * (double)get(y->data, dtype, to) +
                               (bias ? (double)get(bias, dtype, j) : 0.0);
                double error = fabs((double)get(result, dtype, to) - value);
                CHECK(error <= relative * (1 + fabs(value)),
                      "%lld x %lld x %lld, type %d: [%lld, %lld, %lld] is %g, not %g",
                      (long long)c->m, (long long)c->n, (long long)c->k, (int)dtype,
                      (long long)batch, (long long)i, (long long)j, (double)get(result, dtype, to),
                      value);
                memcpy(wanted + (size_t)to * element_bytes(dtype),
                       result + (size_t)to * element_bytes(dtype), element_bytes(dtype));
            }
    CHECK(memcmp(wanted, result, (size_t)y->n_elements * element_bytes(dtype)) == 0,
          "%lld x %lld x %lld: written to between the rows", (long long)c->m, (long long)c->n,
          (long long)c->k);
    free(wanted);
}

static void run_product(gpu_device *device, const product_case *c, const operand *a,
                        const operand *b, const operand *y, const operand *bias) {
    size_t bytes = (size_t)y->n_elements * element_bytes(y->matrix.dtype);
    gpu_product product = {.m = c->m,
                           .n = c->n,
                           .k = c->k,
                           .batch = c->batch,
                           .a = a->matrix,
                           .b = b->matrix,
                           .c = y->matrix,
                           .transpose_b = c->transpose_b,
                           .alpha = c->alpha,
                           .beta = c->beta,
                           .has_bias = c->bias};
    CHECK(gpu_driver_multiplies(device, &product), "a product that is not supported");
    if (!gpu_driver_multiplies(device, &product))
        return;
    unsigned char *result = malloc(bytes);
    MUST(gpu_driver_warm(device, &product));
    if (c->bias) /* of a plan that rests the memory comes later */
        product.bias = bias->matrix.place;
    MUST(gpu_driver_multiply(device, &product));
    MUST(gpu_driver_download(device, result, (gpu_place){y->matrix.place.memory, 0}, bytes));
    check_result(c, a, b, y,
                 c->bias ? bias->data + (size_t)c->offset * element_bytes(y->matrix.dtype) : NULL,
                 result);
    free(result);
}

static void check_product(gpu_device *device, const product_case *c, int32_t type, int32_t to) {
    operand a = new_operand(device, c, type, c->m, c->k, false);
    operand b = c->transpose_b ? new_operand(device, c, type, c->n, c->k, c->shared_b)
                               : new_operand(device, c, type, c->k, c->n, c->shared_b);
    operand y = new_operand(device, c, to, c->m, c->n, false);
    operand bias = new_operand(device, c, to, 1, c->n, true);
    run_product(device, c, &a, &b, &y, &bias);
    free_operand(device, &a);
    free_operand(device, &b);
    free_operand(device, &y);
    free_operand(device, &bias);
}

static void check_products(gpu_device *device) {
    static const int32_t types[][2] = {
        {SF_F32, SF_F32}, {SF_F16, SF_F16}, {SF_BF16, SF_BF16}, {SF_F16, SF_F32}, {SF_BF16, SF_F32},
    };
    for (size_t i = 0; i < sizeof product_cases / sizeof *product_cases; i++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            check_product(device, &product_cases[i], types[t][0], types[t][1]);
}

/* What the library has no product for, and what was not planned. */
static void check_refusals(gpu_device *device) {
    const gpu_matrix matrix = {{NULL, 0}, SF_F32, 4, 16};
    const gpu_product good = {
        .m = 4, .n = 4, .k = 4, .batch = 1, .a = matrix, .b = matrix, .c = matrix, .alpha = 1};
    gpu_product product = good;
    CHECK(gpu_driver_multiplies(device, &product), "a plain product is refused");
    CHECK(gpu_driver_multiplies(NULL, &product), "a plain product is refused without a device");
    host_check(gpu_driver_multiply(device, &product), SF_ERROR_INTERNAL, "was not planned");
    product.b.dtype = SF_F16;
    CHECK(!gpu_driver_multiplies(device, &product), "f32 times f16 is taken");
    host_check(gpu_driver_warm(device, &product), SF_ERROR_UNSUPPORTED, "no such product");
    product = good, product.a.dtype = SF_I32;
    CHECK(!gpu_driver_multiplies(device, &product), "integers are taken");
    product = good, product.c.dtype = SF_F16;
    CHECK(!gpu_driver_multiplies(device, &product), "f32 to f16 is taken");
    product = good, product.a.row_stride = 0;
    CHECK(!gpu_driver_multiplies(device, &product), "repeated rows are taken");
    product = good, product.batch = 2, product.c.batch_stride = 0;
    CHECK(!gpu_driver_multiplies(device, &product), "results in one place are taken");
    product = good, product.k = 0;
    CHECK(!gpu_driver_multiplies(device, &product), "empty sums are taken");
}

/* Where there is no room to keep another plan it is not taken, and those that are kept still are. */
static void check_lack_of_memory(void) {
    gpu_device *device;
    const gpu_matrix matrix = {{NULL, 0}, SF_F32, 64, 0};
    gpu_product product = {
        .m = 1, .n = 1, .k = 1, .batch = 1, .a = matrix, .b = matrix, .c = matrix};
    sf_status status = SF_OK;
    MUST(gpu_driver_open(&host, 0, &device));
    MUST(gpu_driver_warm(device, &product));
    has_no_memory = true;
    for (product.m = 2; product.m < 200 && status == SF_OK; product.m++)
        status = gpu_driver_warm(device, &product);
    has_no_memory = false;
    CHECK(status == SF_ERROR_MEMORY, "no memory was told, but status %d", (int)status);
    product.m--;
    CHECK(!gpu_driver_multiplies(device, &product), "a product that could not be planned is taken");
    product.m = 1;
    CHECK(gpu_driver_multiplies(device, &product), "a product that is planned is not taken");
    gpu_driver_close(device);
}

/* ---- memory ---- */

static void check_memory(gpu_device *device) {
    void *memory, *impossible = NULL;
    unsigned char bytes[1024], back[1024];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    MUST(gpu_driver_allocate(device, 4096, &memory));
    MUST(gpu_driver_upload(device, (gpu_place){memory, 100}, bytes, sizeof bytes, true));
    MUST(gpu_driver_upload(device, (gpu_place){memory, 110}, bytes, 5, false));
    MUST(gpu_driver_download(device, back, (gpu_place){memory, 100}, sizeof back));
    memcpy(bytes + 10, (unsigned char[]){0, 7, 14, 21, 28}, 5);
    CHECK(memcmp(bytes, back, sizeof bytes) == 0, "copies are not in their order");
    host_check(gpu_driver_allocate(device, (uint64_t)1 << 60, &impossible), SF_ERROR_MEMORY,
               "gives no 1152921504606846976 bytes of memory");
    CHECK(!impossible, "a failed allocation gave something");
    MUST(gpu_driver_download(device, back, (gpu_place){memory, 100}, sizeof back));
    MUST(gpu_driver_synchronize(device));
    gpu_driver_free(device, memory);
}

/* ---- launches ---- */

static void check_launches(gpu_device *device) {
    const uint32_t n = 1000;
    float values[1000], results[1000];
    gpu_unary_arguments arguments = {
        .dims = {{1, 1, 1, 1, n}}, .x = {{0, 0, 0, 0, 1}}, .n = n, .function = GPU_SQUARE};
    gpu_launch launch = {.kernel = GPU_KERNEL_unary,
                         .groups = {4, 1, 1},
                         .n_buffers = 2,
                         .arguments = &arguments,
                         .arguments_bytes = sizeof arguments};
    for (uint32_t i = 0; i < n; i++)
        values[i] = (float)i;
    MUST(gpu_driver_allocate(device, sizeof values + 256, &launch.buffers[0].memory));
    launch.buffers[0].offset = 256;
    launch.buffers[1] = launch.buffers[0];
    host_check(gpu_driver_launch(device, &launch), SF_ERROR_INTERNAL, "unary was not built");
    MUST(gpu_driver_build(device, GPU_KERNEL_unary));
    MUST(gpu_driver_build(device, GPU_KERNEL_unary));
    launch.arguments_bytes -= 4;
    host_check(gpu_driver_launch(device, &launch), SF_ERROR_INTERNAL, "unary takes 2 buffers and");
    launch.arguments_bytes += 4;
    MUST(gpu_driver_upload(device, launch.buffers[0], values, sizeof values, false));
    MUST(gpu_driver_launch(device, &launch));
    MUST(gpu_driver_launch(device, &launch));
    MUST(gpu_driver_download(device, results, launch.buffers[0], sizeof results));
    for (uint32_t i = 0; i < n; i++)
        CHECK(results[i] == values[i] * values[i] * (values[i] * values[i]), "%u^4 is %g", i,
              (double)results[i]);
    gpu_driver_free(device, launch.buffers[0].memory);
}

/* Two open devices at once do not mix. */
static void check_two(void) {
    gpu_device *both[2];
    MUST(gpu_driver_open(&host, 0, &both[0]));
    MUST(gpu_driver_open(&host, 0, &both[1]));
    check_memory(both[1]);
    gpu_driver_close(both[0]);
    check_launches(both[1]);
    gpu_driver_close(both[1]);
}

int main(int argc, char **argv) {
    gpu_device *device;
    const char *what = argc == 2 ? argv[1] : "";
    MUST(gpu_driver_open(&host, 0, &device));
    if (strcmp(what, "products") == 0) {
        check_refusals(device);
        check_products(device);
        check_lack_of_memory();
    } else if (strcmp(what, "memory") == 0) {
        check_memory(device);
    } else if (strcmp(what, "launches") == 0) {
        check_launches(device);
    } else {
        fail("cuda_driver products|memory|launches");
    }
    gpu_driver_close(device);
    if (!n_failures && strcmp(what, "memory") == 0)
        check_two();
    return n_failures != 0;
}
