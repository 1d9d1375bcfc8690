/*
 * attention, in one launch whatever the numbers of queries, keys and channels.
 */
#include "backends/gpu/kernels/attention.h"
#include "backends/gpu/gpu.h"

/* The kernels, by how many channels of the values they take at once, and queries of a work-item. */
static const struct {
    gpu_kernel kernel;
    uint32_t channels, rows;
} kernels[] = {
    {GPU_KERNEL_attention_48, 48, 8},   {GPU_KERNEL_attention_64, 64, 8},
    {GPU_KERNEL_attention_80, 80, 8},   {GPU_KERNEL_attention_128, 128, 4},
    {GPU_KERNEL_attention_160, 160, 4}, {GPU_KERNEL_attention_256, 256, 4},
};
#define N_KERNELS (sizeof kernels / sizeof *kernels)

/* A grid's second dimension is below 2^16. */
#define MOST_CHANNELS INT64_C(0xffff00)

/* q, k and v may be columns of wider tensors: their own columns lie side by side. */
static int supports_attention(const sf_op_call *call) {
    for (uint32_t i = 0; i < 3; i++) {
        const sf_tensor_desc *x = ref_input(call, i);
        if (ref_elements(x) && x->dims[2] > 1 && x->strides[2] != 1)
            return 0;
    }
    return call->output->dims[2] <= MOST_CHANNELS && gpu_supports_floats(call);
}

static gpu_attention_matrix matrix_of(const sf_tensor_desc *x) {
    return (gpu_attention_matrix){
        .sample = (uint32_t)x->strides[0],
        .row = (uint32_t)x->strides[1],
        .type = gpu_type_of(x),
    };
}

static void set_mask(gpu_attention_arguments *a, const sf_op_call *call) {
    const sf_tensor_desc *mask = ref_input(call, 3);
    const int64_t dims[] = {call->output->dims[0], a->n_heads, a->T, a->S};
    if (!ref_is_present(mask))
        return;
    gpu_strides strides = gpu_strides_in(mask, 4, dims);
    a->has_mask = 1;
    a->mask_type = gpu_type_of(mask);
    a->mask_sample = strides.step[1];
    a->mask_head = strides.step[2];
    a->mask_row = strides.step[3];
    a->mask_key = strides.step[4];
}

static gpu_attention_arguments arguments_of(const sf_op_call *call) {
    const sf_attention_attributes *attributes = call->attributes;
    const sf_tensor_desc *q = ref_input(call, 0), *k = ref_input(call, 1);
    int64_t n_heads = attributes->n_heads;
    gpu_attention_arguments a = {
        .q = matrix_of(q),
        .k = matrix_of(k),
        .v = matrix_of(ref_input(call, 2)),
        .y = matrix_of(call->output),
        .T = (uint32_t)q->dims[1],
        .S = (uint32_t)k->dims[1],
        .D = (uint32_t)(q->dims[2] / n_heads),
        .E = (uint32_t)(call->output->dims[2] / n_heads),
        .n_heads = (uint32_t)n_heads,
        .causal = attributes->causal,
        .scale = attributes->scale,
    };
    set_mask(&a, call);
    return a;
}

static sf_status run_attention(void *backend, const sf_op_call *call) {
    const gpu_backend *b = backend;
    gpu_attention_arguments a = arguments_of(call);
    size_t kernel = 0;
    while (kernel < N_KERNELS - 1 && kernels[kernel].channels < a.E)
        kernel++;
    uint32_t n_queries = b->abilities.group_size / ATTENTION_COLUMNS * kernels[kernel].rows;
    a.n_tiles = (a.T + n_queries - 1) / n_queries;
    gpu_grid grid = {{
        (uint32_t)call->output->dims[0] * a.n_heads * a.n_tiles,
        (a.E + kernels[kernel].channels - 1) / kernels[kernel].channels,
        1,
    }};
    gpu_place q = gpu_place_of(ref_input(call, 0));
    const gpu_place places[] = {
        q, gpu_place_of(ref_input(call, 1)), gpu_place_of(ref_input(call, 2)),
        a.has_mask ? gpu_place_of(ref_input(call, 3)) : q, gpu_place_of(call->output)};
    return gpu_run(backend, kernels[kernel].kernel, grid, &a, sizeof a, 5, places);
}

const sf_op_entry gpu_attention = {
    GPU_ENTRY("attention"),
    .supports = supports_attention,
    .run = run_attention,
};
