/*
 * matmul: y = scale a b, batch by batch. b is first written out for every batch as [K, N].
 */
#include "backends/ref/ref.h"

/* An operand with the output's batch dimensions; `turn` exchanges its rows and columns. */
static sf_tensor_desc batched(const sf_op_call *call, uint32_t input, bool turn) {
    sf_tensor_desc operand = *ref_input(call, input);
    int rank = operand.n_dims;
    int order[SF_MAX_DIMS] = {0, 1, 2, 3, 4};
    order[rank - 2] = turn ? rank - 1 : rank - 2;
    order[rank - 1] = turn ? rank - 2 : rank - 1;
    operand = ref_permuted(&operand, order);
    int64_t dims[SF_MAX_DIMS];
    for (int axis = 0; axis < rank; axis++)
        dims[axis] = axis < rank - 2 ? call->output->dims[axis] : operand.dims[axis];
    return ref_expanded(&operand, rank, dims);
}

static uint64_t workspace(const sf_op_call *call) {
    const sf_matmul_attributes *attributes = call->attributes;
    sf_tensor_desc a = batched(call, 0, false), b = batched(call, 1, attributes->transpose_b != 0);
    return ref_add_bytes(ref_load_room(call->output),
                         ref_add_bytes(ref_load_room(&a), ref_load_room(&b)));
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    const sf_matmul_attributes *attributes = call->attributes;
    sf_tensor_desc a_desc = batched(call, 0, false);
    sf_tensor_desc b_desc = batched(call, 1, attributes->transpose_b != 0);
    int64_t K = b_desc.dims[b_desc.n_dims - 2], N = ref_columns(&b_desc);
    int64_t M = a_desc.dims[a_desc.n_dims - 2], n_elements = ref_elements(call->output);
    const float *a = ref_load(&scratch, &a_desc);
    const float *b = ref_load(&scratch, &b_desc);
    float *y = ref_result(&scratch, call->output);
    for (int64_t i = 0; i < n_elements; i++)
        y[i] = 0;
    for (int64_t batch = 0; batch * M * N < n_elements; batch++)
        ref_add_product(M, N, K, a + batch * M * K, K, b + batch * K * N, N, y + batch * M * N, N);
    for (int64_t i = 0; i < n_elements; i++)
        y[i] *= attributes->scale;
    ref_store(y, call->output);
    return SF_OK;
}

const sf_op_entry ref_matmul = {
    .struct_size = sizeof(sf_op_entry),
    .op = "matmul",
    .supports = ref_supports_floats,
    .workspace = workspace,
    .run = run,
};
