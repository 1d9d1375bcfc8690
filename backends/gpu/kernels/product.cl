/*
 * Products of matrices with any strides, in batches. A group makes a tile; neighbouring groups the tiles
 * beside it, which read the same rows. Local memory: two tiles of tile.h.
 */
#include "backends/gpu/kernels/product.h"

typedef struct place_of_tile {
    gpu_uint batch, row, column;
} place_of_tile;

FUNCTION place_of_tile find_tile(gpu_uint tiles_down, gpu_uint tiles_across, gpu_uint columns) {
    place_of_tile tile;
    gpu_uint stripe = GROUP_ID(0) / tiles_across;
    tile.column = (GROUP_ID(0) - stripe * tiles_across) * columns;
    tile.batch = stripe / tiles_down;
    tile.row = (stripe - tile.batch * tiles_down) * TILE_ROWS;
    return tile;
}

/*
 * tile [STEP][size] = part of a matrix, zeros past its rows and past k. Neighbours read what lies side by
 * side. In the tile as many places are left free after every `run` rows or columns.
 */
FUNCTION void load_tile(LOCAL_POINTER float *tile, gpu_uint stride, gpu_uint size, gpu_uint run,
                        GLOBAL const gpu_byte *p, gpu_matrix_view view, gpu_uint start,
                        gpu_uint row, gpu_uint n_rows, gpu_uint k, gpu_uint n_k) {
    bool along_k = view.k_stride == 1;
    gpu_uint line = LOCAL_ID / size;
    gpu_uint r = along_k ? LOCAL_ID / STEP : LOCAL_ID - line * size;
    gpu_uint s = along_k ? LOCAL_ID % STEP : line;
    gpu_uint rows_on = along_k ? GROUP / STEP : 0, k_on = along_k ? 0 : GROUP / size;
    gpu_uint at = start + (row + r) * view.row_stride + (k + s) * view.k_stride;
    gpu_uint on = rows_on * view.row_stride + k_on * view.k_stride;
    for (gpu_uint pass = 0; pass < STEP * size / GROUP; pass++) {
        bool inside = row + r < n_rows && k + s < n_k;
        tile[s * stride + r + r / run * run] = inside ? load(p, view.type, at) : 0.0f;
        r += rows_on;
        s += k_on;
        at += on;
    }
}

/* y = activation(scale a b + bias) + residual */
KERNEL(product)
(INPUT(a), INPUT(b), INPUT(bias), IN_PLACE(residual), OUTPUT(y), gpu_product_arguments p) {
    TILE_MEMORY(a_tile, TILE_ROWS);
    TILE_MEMORY(b_tile, TILE_COLUMNS);
    tile_row sums[EACH];
    LOCATE(a);
    LOCATE(b);
    LOCATE(bias);
    LOCATE(residual);
    LOCATE(y);
    place_of_tile tile = find_tile(p.tiles_down, p.tiles_across, TILE_COLUMNS);
    gpu_uint a_start = element_at(p.batch, p.a.batch, tile.batch);
    gpu_uint b_start = element_at(p.batch, p.b.batch, tile.batch);
    clear_sums(sums);
    for (gpu_uint k = 0; k < p.k; k += STEP) {
        load_tile(a_tile, TILE_STRIDE(TILE_ROWS), TILE_ROWS, TILE_ROWS, a, p.a, a_start, tile.row, p.m, k,
                  p.k);
        load_tile(b_tile, TILE_STRIDE(TILE_COLUMNS), TILE_COLUMNS, TILE_COLUMNS, b, p.b, b_start, tile.column,
                  p.n, k, p.k);
        BARRIER();
        add_products(sums, a_tile, b_tile);
        BARRIER();
    }
    for (gpu_uint i = 0; i < EACH; i++) {
        gpu_uint row = tile.row + FIRST_ROW + i;
        for (gpu_uint j = 0; j < EACH; j++) {
            gpu_uint column = tile.column + FIRST_COLUMN + j;
            if (row < p.m && column < p.n)
                finish_sum(bias, residual, y, p.epilogue, column,
                           (tile.batch * p.m + row) * p.n + column, one_of(sums[i], j));
        }
    }
}

/*
 * y = u gelu(v), u = a b^T + bias with the first n rows of b, v the same with the n rows after them.
 * Each work-item has columns of both.
 */
KERNEL(product_geglu)
(INPUT(a), INPUT(b), INPUT(bias), OUTPUT(y), gpu_product_arguments p) {
    TILE_MEMORY(a_tile, TILE_ROWS);
    TILE_MEMORY(b_tile, TILE_COLUMNS);
    tile_row sums[EACH];
    LOCATE(a);
    LOCATE(b);
    LOCATE(bias);
    LOCATE(y);
    place_of_tile tile = find_tile(p.tiles_down, p.tiles_across, TILE_COLUMNS / 2);
    gpu_uint a_start = element_at(p.batch, p.a.batch, tile.batch);
    clear_sums(sums);
    for (gpu_uint k = 0; k < p.k; k += STEP) {
        load_tile(a_tile, TILE_STRIDE(TILE_ROWS), TILE_ROWS, TILE_ROWS, a, p.a, a_start, tile.row, p.m, k,
                  p.k);
        load_tile(b_tile, TILE_STRIDE(TILE_COLUMNS), TILE_COLUMNS / 2, EACH / 2, b, p.b, 0, tile.column, p.n,
                  k, p.k);
        load_tile(b_tile + EACH / 2, TILE_STRIDE(TILE_COLUMNS), TILE_COLUMNS / 2, EACH / 2, b, p.b,
                  p.n * p.b.row_stride, tile.column, p.n, k, p.k);
        BARRIER();
        add_products(sums, a_tile, b_tile);
        BARRIER();
    }
    for (gpu_uint i = 0; i < EACH; i++) {
        gpu_uint row = tile.row + FIRST_ROW + i;
        for (gpu_uint j = 0; j < EACH / 2; j++) {
            gpu_uint column = tile.column + FIRST_COLUMN / 2 + j;
            if (row >= p.m || column >= p.n)
                continue;
            float u = add_bias(bias, p.epilogue, column, one_of(sums[i], j));
            float v = add_bias(bias, p.epilogue, p.n + column, one_of(sums[i], j + EACH / 2));
            store(y, p.epilogue.y_type, (tile.batch * p.m + row) * p.n + column,
                  u * activate(GPU_GELU, v));
        }
    }
}
