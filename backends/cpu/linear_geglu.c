/*
 * linear_geglu: two products of one a, the second of which gates the first, block by block.
 */
#include "backends/cpu/linear.h"

static uint64_t workspace(const sf_op_call *call) {
    return ref_load_room(ref_input(call, 2));
}

static void pack(const cpu_product *p, int64_t set, int64_t first, int64_t columns,
                 int64_t first_inner, int64_t inner, void *panels) {
    cpu_product_pack_rows(p, p->b, set * p->N + first, columns, first_inner, inner, panels);
}

static void finish(const cpu_product *p, int64_t index, float *sums, int64_t sums_stride,
                   int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    const float *bias = p->epilogue.bias;
    cpu_epilogue y = p->epilogue;
    (void)index;
    y.bias = NULL;
    for (int64_t i = 0; i < rows; i++, sums += sums_stride) {
        float *gate = sums + CPU_PRODUCT_MOST_COLUMNS / 2;
        p->kernels->gate(sums, gate, bias ? bias + first_column : NULL,
                         bias ? bias + p->N + first_column : NULL, columns);
        p->kernels->finish(&y, sums, sums_stride, first_row + i, 1, first_column, columns);
    }
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    ref_scratch scratch = ref_scratch_of(call);
    cpu_matrix x = cpu_matrix_of(ref_input(call, 0)), weight = cpu_matrix_of(ref_input(call, 1));
    cpu_product product = {.M = ref_rows(call->output),
                           .N = ref_columns(call->output),
                           .K = ref_columns(ref_input(call, 1)),
                           .n_products = 1,
                           .n_sets = 2,
                           .in_bf16 = cpu_product_in_bf16(backend->kernels, x.dtype, weight.dtype),
                           .pack = pack,
                           .b = &weight,
                           .epilogue = {.bias = ref_load(&scratch, ref_input(call, 2)),
                                        .y = cpu_matrix_of(call->output)},
                           .finish = finish};
    cpu_product_set_rows(&product, &x);
    cpu_product_run(backend, &product);
    return SF_OK;
}

const sf_op_entry cpu_linear_geglu = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear_geglu",
    .supports = cpu_supports_plain_floats,
    .workspace = workspace,
    .run = run,
};
