/*
 * matmul: y = scale a b for a batch of matrices, each a blocked product. Operands are used as they
 * lie as long as one of the two dimensions of each matrix has stride 1 (a: the last one); batch
 * dimensions may have any strides, 0 where they are broadcast.
 */
#include "backends/cpu/product.h"

typedef struct batch {
    sf_tensor_desc a, b; /* with the output's batch dimensions */
    const sf_tensor_desc *y;
    float scale;
    bool b_by_columns; /* b is [N, K] in memory: its K inner elements lie together */
} batch;

/* An operand with the output's batch dimensions. */
static sf_tensor_desc batched(const sf_tensor_desc *operand, const sf_tensor_desc *output) {
    int rank = operand->n_dims;
    int64_t dims[SF_MAX_DIMS];
    for (int axis = 0; axis < rank; axis++)
        dims[axis] = axis < rank - 2 ? output->dims[axis] : operand->dims[axis];
    return ref_expanded(operand, rank, dims);
}

/* b as [..., N, K], whatever transpose_b says. */
static sf_tensor_desc turned_b(const sf_op_call *call) {
    const sf_matmul_attributes *attributes = call->attributes;
    sf_tensor_desc b = *ref_input(call, 1);
    int rank = b.n_dims;
    int order[SF_MAX_DIMS] = {0, 1, 2, 3, 4};
    order[rank - 2] = rank - 1;
    order[rank - 1] = rank - 2;
    return attributes->transpose_b ? b : ref_permuted(&b, order);
}

static bool is_dense(const sf_tensor_desc *x, int axis) {
    return x->dims[axis] <= 1 || x->strides[axis] == 1;
}

static int supports(const sf_op_call *call) {
    if (!ref_supports_floats(call))
        return 0;
    const sf_tensor_desc *a = ref_input(call, 0);
    sf_tensor_desc b = turned_b(call);
    int last = a->n_dims - 1;
    return ref_elements(call->output) == 0 || ref_elements(a) == 0 ||
           (is_dense(a, last) && (is_dense(&b, last) || is_dense(&b, last - 1)));
}

/* Matrix `index` of the batch; row_axis is the dimension that does not lie together. */
static cpu_matrix matrix_at(const sf_tensor_desc *x, int64_t index, int row_axis) {
    int64_t offset = 0;
    for (int axis = x->n_dims - 3; axis >= 0; axis--) {
        offset += index % x->dims[axis] * x->strides[axis];
        index /= x->dims[axis];
    }
    return (cpu_matrix){.data = (char *)ref_address(x) + offset * ref_element_bytes(x->dtype),
                        .dtype = x->dtype,
                        .row_stride = x->strides[row_axis]};
}

static void fetch(const cpu_product *p, int64_t index, int64_t first_row, int64_t rows,
                  int64_t first_inner, int64_t inner, void *target) {
    const batch *all = p->a;
    cpu_matrix a = matrix_at(&all->a, index, all->a.n_dims - 2);
    for (int64_t i = 0; i < rows; i++) {
        int64_t offset = (first_row + i) * a.row_stride + first_inner;
        const char *source = (const char *)a.data + offset * ref_element_bytes(a.dtype);
        cpu_product_load(p, a.dtype, source, (char *)target + i * inner * (p->in_bf16 ? 2 : 4),
                         inner);
    }
}

static void pack(const cpu_product *p, int64_t index, int64_t first, int64_t columns,
                 int64_t first_inner, int64_t inner, void *panels) {
    const batch *all = p->b;
    int last = all->b.n_dims - 1;
    cpu_matrix b = matrix_at(&all->b, index, all->b_by_columns ? last - 1 : last);
    if (all->b_by_columns)
        cpu_product_pack_rows(p, &b, first, columns, first_inner, inner, panels);
    else if (p->in_bf16)
        p->kernels->pack_columns_bf16(&b, first, columns, first_inner, inner, panels);
    else
        p->kernels->pack_columns(&b, first, columns, first_inner, inner, panels);
}

static void finish(const cpu_product *p, int64_t index, float *sums, int64_t sums_stride,
                   int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    const batch *all = p->a;
    cpu_epilogue epilogue = {.activation = SF_ACTIVATION_NONE,
                             .y = matrix_at(all->y, index, all->y->n_dims - 2)};
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            sums[i * sums_stride + j] *= all->scale;
    p->kernels->finish(&epilogue, sums, sums_stride, first_row, rows, first_column, columns);
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_matmul_attributes *attributes = call->attributes;
    const sf_tensor_desc *y = call->output;
    sf_tensor_desc b = turned_b(call);
    int last = y->n_dims - 1;
    batch all = {.a = batched(ref_input(call, 0), y),
                 .b = batched(&b, y),
                 .y = y,
                 .scale = attributes->scale,
                 .b_by_columns = is_dense(&b, last)};
    /* f16 is no weight here, so it is not rounded. */
    bool in_bf16 = b.dtype == SF_BF16 &&
                   cpu_product_in_bf16(((cpu_backend *)backend)->kernels, all.a.dtype, b.dtype);
    cpu_product product = {.M = y->dims[last - 1],
                           .N = y->dims[last],
                           .K = all.a.dims[last],
                           .n_products = ref_elements(y) / (y->dims[last - 1] * y->dims[last]),
                           .in_bf16 = in_bf16,
                           .fetch = fetch,
                           .a = &all,
                           .pack = pack,
                           .b = &all,
                           .finish = finish};
    cpu_product_run(backend, &product);
    return SF_OK;
}

const sf_op_entry cpu_matmul = {
    .struct_size = sizeof(sf_op_entry),
    .op = "matmul",
    .supports = supports,
    .run = run,
};
