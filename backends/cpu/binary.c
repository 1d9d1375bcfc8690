/*
 * Arithmetic of two tensors that broadcast: row by row of the output, along which each input goes on by
 * one element or stays where it is.
 */
#include <string.h>

#include "backends/cpu/strided.h"

typedef struct binary {
    const cpu_kernels *kernels;
    int32_t operation;
    cpu_matrix a, b, y;
    cpu_walk walk; /* over a, b, y */
} binary;

static cpu_walk walk_over_call(const sf_op_call *call) {
    const sf_tensor_desc *output = call->output;
    sf_tensor_desc a = ref_expanded(ref_input(call, 0), output->n_dims, output->dims);
    sf_tensor_desc b = ref_expanded(ref_input(call, 1), output->n_dims, output->dims);
    return cpu_walk_over(output->n_dims, output->dims, 3,
                         (const int64_t *const[]){a.strides, b.strides, output->strides});
}

static int supports(const sf_op_call *call) {
    cpu_walk walk = walk_over_call(call);
    int last = walk.n_dims - 1;
    for (int k = 0; k < 2; k++)
        if (walk.strides[k][last] != 0 && walk.strides[k][last] != 1)
            return 0;
    return ref_supports_floats(call);
}

static void combine_item(void *user, int64_t item, cpu_thread *thread) {
    const binary *p = user;
    const cpu_walk *w = &p->walk;
    cpu_range units = cpu_item_units(w->n_units, item, w->n_items);
    (void)thread;
    for (int64_t unit = units.first; unit < units.end; unit++) {
        int64_t at[CPU_WALK_OPERANDS], n = cpu_walk_at(w, unit, at);
        p->kernels->binary(p->operation, &p->a, at[0], w->strides[0][w->n_dims - 1], &p->b, at[1],
                           w->strides[1][w->n_dims - 1], &p->y, at[2], n);
    }
}

static int32_t operation_of(const char *op) {
    static const char *const names[] = {[CPU_ADD] = "add",
                                        [CPU_SUBTRACT] = "subtract",
                                        [CPU_MULTIPLY] = "multiply",
                                        [CPU_DIVIDE] = "divide"};
    int32_t i = 0;
    while (strcmp(names[i], op) != 0)
        i++;
    return i;
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    binary p = {.kernels = backend->kernels,
                .operation = operation_of(call->op),
                .a = cpu_matrix_of(ref_input(call, 0)),
                .b = cpu_matrix_of(ref_input(call, 1)),
                .y = cpu_matrix_of(call->output),
                .walk = walk_over_call(call)};
    cpu_parallel(backend, p.walk.n_items, combine_item, &p);
    return SF_OK;
}

#define BINARY(name)                                                                               \
    const sf_op_entry cpu_##name = {                                                               \
        .struct_size = sizeof(sf_op_entry), .op = #name, .supports = supports, .run = run}
BINARY(add);
BINARY(subtract);
BINARY(multiply);
BINARY(divide);
