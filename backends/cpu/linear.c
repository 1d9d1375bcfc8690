/*
 * linear: y = activation(x W^T + bias) + residual. With a few rows (the time embedding) as dot
 * products with the rows of the weight, else as a blocked product.
 */
#include "backends/cpu/linear.h"

#define FEW_ROWS    4
#define FEW_COLUMNS 64 /* of an item */

/* A bias in half precision is widened into the workspace. */
static uint64_t workspace(const sf_op_call *call) {
    uint64_t bytes = ref_load_room(ref_input(call, 2));
    if (ref_rows(call->output) <= FEW_ROWS)
        bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 0)));
    return bytes;
}

static cpu_epilogue epilogue_of(const sf_op_call *call, const float *bias) {
    const sf_linear_attributes *attributes = call->attributes;
    cpu_epilogue epilogue = {
        .bias = bias, .activation = attributes->activation, .y = cpu_matrix_of(call->output)};
    if (ref_is_present(ref_input(call, 3)))
        epilogue.residual = cpu_matrix_of(ref_input(call, 3));
    return epilogue;
}

/* ---- few rows ---- */

typedef struct few_rows {
    const cpu_kernels *kernels;
    int64_t M, N, K;
    const float *x;
    cpu_matrix weight;
    cpu_epilogue epilogue;
} few_rows;

static void dot_item(void *user, int64_t item, cpu_thread *thread) {
    const few_rows *f = user;
    int64_t first = item * FEW_COLUMNS, columns = cpu_smaller(FEW_COLUMNS, f->N - first);
    float *sums = (float *)thread->scratch;
    f->kernels->dots(f->M, f->x, f->K, &f->weight, first, columns, f->K, sums, FEW_COLUMNS);
    f->kernels->finish(&f->epilogue, sums, FEW_COLUMNS, 0, f->M, first, columns);
}

/* ---- many rows ---- */

static void fetch(const cpu_product *p, int64_t index, int64_t first_row, int64_t rows,
                  int64_t first_inner, int64_t inner, void *a) {
    const cpu_matrix *x = p->a;
    (void)index;
    for (int64_t i = 0; i < rows; i++) {
        int64_t offset = (first_row + i) * x->row_stride + first_inner;
        const void *source = (const char *)x->data + offset * ref_element_bytes(x->dtype);
        cpu_product_load(p, x->dtype, source, (char *)a + i * inner * (p->in_bf16 ? 2 : 4), inner);
    }
}

void cpu_product_set_rows(cpu_product *product, const cpu_matrix *x) {
    product->a = x;
    product->fetch = fetch;
    if (x->dtype == (product->in_bf16 ? SF_BF16 : SF_F32)) {
        product->direct = x->data;
        product->direct_stride = x->row_stride;
    }
}

static void pack(const cpu_product *p, int64_t index, int64_t first, int64_t columns,
                 int64_t first_inner, int64_t inner, void *panels) {
    (void)index;
    cpu_product_pack_rows(p, p->b, first, columns, first_inner, inner, panels);
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    ref_scratch scratch = ref_scratch_of(call);
    int64_t M = ref_rows(call->output), N = ref_columns(call->output);
    int64_t K = ref_columns(ref_input(call, 1));
    const float *bias = ref_load(&scratch, ref_input(call, 2));
    cpu_epilogue epilogue = epilogue_of(call, bias);
    cpu_matrix x = cpu_matrix_of(ref_input(call, 0)), weight = cpu_matrix_of(ref_input(call, 1));
    if (M <= FEW_ROWS) {
        few_rows few = {.kernels = backend->kernels,
                        .M = M,
                        .N = N,
                        .K = K,
                        .x = ref_load(&scratch, ref_input(call, 0)),
                        .weight = weight,
                        .epilogue = epilogue};
        cpu_parallel(backend, cpu_divide_up(N, FEW_COLUMNS), dot_item, &few);
        return SF_OK;
    }
    cpu_product product = {.M = M,
                           .N = N,
                           .K = K,
                           .n_products = 1,
                           .in_bf16 = cpu_product_in_bf16(backend->kernels, x.dtype, weight.dtype),
                           .pack = pack,
                           .b = &weight,
                           .epilogue = epilogue};
    cpu_product_set_rows(&product, &x);
    cpu_product_run(backend, &product);
    return SF_OK;
}

const sf_op_entry cpu_linear = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear",
    .supports = cpu_supports_plain_floats,
    .workspace = workspace,
    .run = run,
    .in_place = SF_IN_PLACE(3),
};
