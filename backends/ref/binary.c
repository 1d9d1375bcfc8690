/*
 * Arithmetic of two tensors. Both are first written out in the output's shape.
 */
#include "backends/ref/ref.h"

#include <string.h>

static void add(const float *a, const float *b, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void subtract(const float *a, const float *b, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] - b[i];
}

static void multiply(const float *a, const float *b, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void divide(const float *a, const float *b, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] / b[i];
}

static const struct {
    const char *op;
    void (*loop)(const float *a, const float *b, float *y, int64_t n);
} loops[] = {{"add", add}, {"subtract", subtract}, {"multiply", multiply}, {"divide", divide}};

static sf_tensor_desc as_output(const sf_op_call *call, uint32_t input) {
    return ref_expanded(ref_input(call, input), call->output->n_dims, call->output->dims);
}

static uint64_t workspace(const sf_op_call *call) {
    sf_tensor_desc a = as_output(call, 0), b = as_output(call, 1);
    return ref_add_bytes(ref_load_room(call->output),
                         ref_add_bytes(ref_load_room(&a), ref_load_room(&b)));
}

static sf_status run(void *backend, const sf_op_call *call) {
    (void)backend;
    ref_scratch scratch = ref_scratch_of(call);
    sf_tensor_desc a_expanded = as_output(call, 0), b_expanded = as_output(call, 1);
    const float *a = ref_load(&scratch, &a_expanded);
    const float *b = ref_load(&scratch, &b_expanded);
    float *y = ref_result(&scratch, call->output);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        if (strcmp(loops[i].op, call->op) == 0)
            loops[i].loop(a, b, y, ref_elements(call->output));
    ref_store(y, call->output);
    return SF_OK;
}

#define BINARY(name)                                                                               \
    const sf_op_entry ref_##name = {.struct_size = sizeof(sf_op_entry),                            \
                                    .op = #name,                                                   \
                                    .supports = ref_supports_floats,                               \
                                    .workspace = workspace,                                        \
                                    .run = run}
BINARY(add);
BINARY(subtract);
BINARY(multiply);
BINARY(divide);
