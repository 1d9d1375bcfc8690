/*
 * Products of half types by matrix units. See product.h.
 */
#include "backends/gpu/kernels/product_halves.h"
#include "backends/gpu/product.h"

bool gpu_product_halves_applies(const gpu_backend *backend, const gpu_factors *f) {
    return f->a.dtype == f->b.dtype && gpu_has_units(backend, f->a.dtype) &&
           backend->abilities.group_size >= GPU_LEAST_WARPS_GROUP;
}

/* Whether each 8 numbers along k lie side by side, at a multiple of 16 bytes. */
static bool lies_in_eights(const gpu_factors *f, const gpu_factor *factor) {
    bool lies = factor->k_stride == 1 && f->k % 8 == 0 && factor->row_stride % 8 == 0 &&
                factor->place.offset % 16 == 0;
    for (int axis = 0; axis < GPU_MOST_DIMS; axis++)
        lies = lies && (f->batch.size[axis] == 1 || factor->batch.step[axis] % 8 == 0);
    return lies;
}

typedef struct tile_kind {
    uint32_t rows, columns;
    gpu_kernel f16, bf16;
} tile_kind;

/* Large tiles where they fill a device, else small ones. */
static tile_kind choose_tile(const gpu_backend *backend, const gpu_factors *f, bool gated) {
    uint32_t group = backend->abilities.group_size;
    const tile_kind kinds[] = {
        {GPU_WARP_ROWS(group, GPU_HALVES_WARPS, GPU_LARGE_DOWN),
         GPU_WARP_COLUMNS(group, GPU_HALVES_WARPS, GPU_LARGE_ACROSS), GPU_KERNEL_product_f16,
         GPU_KERNEL_product_bf16},
        {GPU_WARP_ROWS(group, GPU_HALVES_WARPS, GPU_SMALL_DOWN),
         GPU_WARP_COLUMNS(group, GPU_HALVES_WARPS, GPU_SMALL_ACROSS), GPU_KERNEL_product_f16_small,
         GPU_KERNEL_product_bf16_small},
    };
    gpu_product_arguments large =
        gpu_product_arguments_of(f, kinds[0].rows, kinds[0].columns / (gated ? 2 : 1));
    return kinds[gpu_product_grid(f, &large).groups[0] < GPU_FILLING_TILES];
}

sf_status gpu_product_halves_run(gpu_backend *backend, const gpu_factors *f, bool gated) {
    tile_kind kind = choose_tile(backend, f, gated);
    const gpu_product_halves_arguments a = {
        .product = gpu_product_arguments_of(f, kind.rows, kind.columns / (gated ? 2 : 1)),
        .a_in_eights = lies_in_eights(f, &f->a),
        .b_in_eights = lies_in_eights(f, &f->b),
        .y_in_pairs = f->y_dtype != SF_F32 && f->n % 2 == 0 && f->y.offset % 4 == 0,
        .gated = gated,
    };
    gpu_count_units(backend, f->a.dtype);
    return gpu_run(backend, f->a.dtype == SF_F16 ? kind.f16 : kind.bf16,
                   gpu_product_grid(f, &a.product), &a, sizeof a, 5,
                   (const gpu_place[]){f->a.place, f->b.place, f->bias, f->residual, f->y});
}
