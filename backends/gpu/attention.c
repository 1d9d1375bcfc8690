/*
 * attention, in one launch whatever the numbers of queries, keys and channels.
 */
#include "backends/gpu/kernels/attention.h"
#include "backends/gpu/gpu.h"
#include "backends/gpu/kernels/fragment.h"

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

/* Those of matrix units, by the channels of a head, and the warps that share their queries. */
static const struct {
    gpu_kernel f16, bf16;
    uint32_t channels, parts;
} halves_kernels[] = {
    {GPU_KERNEL_attention_f16_48, GPU_KERNEL_attention_bf16_48, 48, 1},
    {GPU_KERNEL_attention_f16_64, GPU_KERNEL_attention_bf16_64, 64, 1},
    {GPU_KERNEL_attention_f16_80, GPU_KERNEL_attention_bf16_80, 80, 2},
    {GPU_KERNEL_attention_f16_128, GPU_KERNEL_attention_bf16_128, 128, 1},
    {GPU_KERNEL_attention_f16_160, GPU_KERNEL_attention_bf16_160, 160, 2},
    {GPU_KERNEL_attention_f16_256, GPU_KERNEL_attention_bf16_256, ATTENTION_MOST_HALVES, 1},
};

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

/* Copies are of 16 bytes, which have to lie at such multiples: `aligned` counts halves. */
#define COPY_BYTES  16
#define COPY_HALVES 8

static gpu_attention_matrix matrix_of(const sf_tensor_desc *x, int64_t n_heads) {
    int64_t steps = x->strides[0] | x->strides[1] | x->dims[2] / n_heads;
    return (gpu_attention_matrix){
        .sample = (uint32_t)x->strides[0],
        .row = (uint32_t)x->strides[1],
        .type = gpu_type_of(x),
        .aligned = steps % COPY_HALVES == 0 && x->offset % COPY_BYTES == 0,
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
        .q = matrix_of(q, n_heads),
        .k = matrix_of(k, n_heads),
        .v = matrix_of(ref_input(call, 2), n_heads),
        .y = matrix_of(call->output, n_heads),
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

/* Whether the device multiplies this by its matrix units. */
static bool is_for_units(const gpu_backend *b, const sf_op_call *call,
                         const gpu_attention_arguments *a) {
    return gpu_has_units(b, ref_input(call, 0)->dtype) && a->k.type == a->q.type &&
           a->v.type == a->q.type && a->D <= ATTENTION_MOST_HALVES && a->E <= ATTENTION_MOST_HALVES;
}

/* Sets how many tiles of n_queries there are; blocks: of the values' channels. */
static gpu_grid grid_of(gpu_attention_arguments *a, const sf_op_call *call, uint32_t n_queries,
                        uint32_t n_blocks) {
    a->n_tiles = (a->T + n_queries - 1) / n_queries;
    return (gpu_grid){{(uint32_t)call->output->dims[0] * a->n_heads * a->n_tiles, n_blocks, 1}};
}

static gpu_kernel choose_halves(gpu_backend *b, const sf_op_call *call, gpu_attention_arguments *a,
                                gpu_grid *grid) {
    uint32_t n_warps = b->abilities.group_size / GPU_WARP;
    gpu_count_units(b, call->output->dtype);
    size_t i = 0;
    while (halves_kernels[i].channels < a->D || halves_kernels[i].channels < a->E)
        i++;
    uint32_t parts = halves_kernels[i].parts < n_warps ? halves_kernels[i].parts : n_warps;
    *grid = grid_of(a, call, n_warps / parts * GPU_FRAGMENT, 1);
    return a->q.type == GPU_F16 ? halves_kernels[i].f16 : halves_kernels[i].bf16;
}

static gpu_kernel choose_any(const gpu_backend *b, const sf_op_call *call,
                             gpu_attention_arguments *a, gpu_grid *grid) {
    size_t i = 0;
    while (i < N_KERNELS - 1 && kernels[i].channels < a->E)
        i++;
    *grid = grid_of(a, call, b->abilities.group_size / ATTENTION_COLUMNS * kernels[i].rows,
                    (a->E + kernels[i].channels - 1) / kernels[i].channels);
    return kernels[i].kernel;
}

static sf_status run_attention(void *backend, const sf_op_call *call) {
    gpu_backend *b = backend;
    gpu_attention_arguments a = arguments_of(call);
    gpu_grid grid;
    gpu_kernel kernel = is_for_units(b, call, &a) ? choose_halves(b, call, &a, &grid)
                                                  : choose_any(b, call, &a, &grid);
    gpu_place q = gpu_place_of(ref_input(call, 0));
    const gpu_place places[] = {
        q, gpu_place_of(ref_input(call, 1)), gpu_place_of(ref_input(call, 2)),
        a.has_mask ? gpu_place_of(ref_input(call, 3)) : q, gpu_place_of(call->output)};
    return gpu_run(backend, kernel, grid, &a, sizeof a, 5, places);
}

const sf_op_entry gpu_attention = {
    GPU_ENTRY("attention"),
    .supports = supports_attention,
    .run = run_attention,
};
