/*
 * Winograd's convolution in blocks. The transforms are in isa/winograd.c.
 *
 * The tiles are taken in rounds of at most MOST_TILES. In each, the threads first transform the round's
 * tiles into the workspace; then each takes blocks of filters, for which it transforms the weights on
 * the fly (a stretch of channels at a time, which stays in the second-level cache), multiplies at all 36
 * points, and transforms the sums back. So no transformed copy of the weights is kept, four times as
 * large as they are in f32, and they are read once a round in the type that they are stored in.
 */
#include "backends/cpu/convolution.h"

#define POINTS        CPU_WINOGRAD_POINTS
#define MOST_TILES    256
#define LEAST_TILES   48
#define MOST_CHANNELS 128 /* of a stretch */
#define TILES_AT_ONCE 4   /* of the input's transform */
#define TILES_BYTES   (UINT64_C(24) << 20)

/* cpu_winograd_stride() adds at most 271 floats. */
#define POINT_BYTES(floats) (((floats) + 272) * sizeof(float))
#define FILTERS_BYTES       (POINTS * POINT_BYTES(MOST_CHANNELS * CPU_WINOGRAD_FILTERS))
#define SUMS_BYTES          (POINTS * POINT_BYTES(MOST_TILES * CPU_WINOGRAD_FILTERS))

_Static_assert(FILTERS_BYTES + SUMS_BYTES <= CPU_SCRATCH_BYTES,
               "filters and sums are larger than a thread's scratch memory");

/* The numbers of vectors wide enough for every instruction set. */
#define LARGEST_VECTOR 16

typedef struct rounds {
    const cpu_convolution *c;
    const cpu_kernels *kernels;
    cpu_winograd_input in;
    cpu_winograd_output out;
    int64_t n_tiles;
    int64_t first, count; /* tiles of this round */
    int64_t n_blocks;     /* of filters */
    float *v;             /* [36][tiles of a round][tile_stride] */
} rounds;

bool cpu_winograd_applies(const cpu_convolution *c) {
    return c->KH == 3 && c->KW == 3 && c->a.stride[0] == 1 && c->a.stride[1] == 1 &&
           c->a.dilation[0] == 1 && c->a.dilation[1] == 1 && c->a.groups == 1 && c->C >= 8 &&
           c->OH >= 2 && c->OW >= 2;
}

/* Floats of a tile at one point; no multiple of a page, lest all rows meet in one cache set. */
static int64_t tile_stride(const cpu_convolution *c) {
    int64_t stride = cpu_divide_up(c->C, LARGEST_VECTOR) * LARGEST_VECTOR;
    return stride % 256 == 0 ? stride + LARGEST_VECTOR : stride;
}

static int64_t count_tiles(const cpu_convolution *c) {
    return c->N * cpu_divide_up(c->OH, 4) * cpu_divide_up(c->OW, 4);
}

static int64_t tiles_of_round(const cpu_convolution *c) {
    int64_t fit = (int64_t)(TILES_BYTES / (POINTS * sizeof(float))) / tile_stride(c) / 8 * 8;
    fit = fit < LEAST_TILES ? LEAST_TILES : cpu_smaller(fit, MOST_TILES);
    int64_t n = count_tiles(c), n_rounds = cpu_divide_up(n, fit);
    return n_rounds < 2 ? n : cpu_smaller(cpu_divide_up(cpu_divide_up(n, n_rounds), 8) * 8, fit);
}

uint64_t cpu_winograd_workspace(const cpu_convolution *c) {
    return ref_room(POINTS * cpu_winograd_stride(tiles_of_round(c) * tile_stride(c)),
                    sizeof(float));
}

/* ---- the two halves of a round ---- */

static void transform_tiles(void *user, int64_t item, cpu_thread *thread) {
    const rounds *r = user;
    (void)thread;
    int64_t first = item * TILES_AT_ONCE, n = cpu_smaller(TILES_AT_ONCE, r->count - first);
    r->kernels->winograd_input(&r->in, r->first + first, n, r->v + first * r->in.tile_stride);
}

/* m [36][tiles][width] += v u for a stretch of channels */
static void multiply_points(const rounds *r, int64_t width, int64_t channel, int64_t channels,
                            const float *u, float *m) {
    int64_t u_stride = cpu_winograd_stride(channels * width);
    int64_t m_stride = cpu_winograd_stride(r->count * width);
    for (int64_t p = 0; p < POINTS; p++)
        r->kernels->multiply(r->count, width, channels, r->v + p * r->in.point_stride + channel,
                             r->in.tile_stride, u + p * u_stride, m + p * m_stride, width,
                             channel > 0);
}

static void compute_filters(void *user, int64_t item, cpu_thread *thread) {
    const rounds *r = user;
    float *u = (float *)thread->scratch, *m = (float *)(thread->scratch + FILTERS_BYTES);
    int64_t C = r->c->C, vector = r->kernels->vector, n_vectors = cpu_divide_up(r->c->O, vector);
    int64_t first = cpu_share(n_vectors, item, r->n_blocks) * vector;
    int64_t end = cpu_share(n_vectors, item + 1, r->n_blocks) * vector;
    int64_t filters = cpu_smaller(end, r->c->O) - first;
    int64_t n_stretches = cpu_divide_up(C, MOST_CHANNELS);
    int64_t n_groups = cpu_divide_up(C, LARGEST_VECTOR);
    for (int64_t s = 0; s < n_stretches; s++) {
        int64_t channel = cpu_share(n_groups, s, n_stretches) * LARGEST_VECTOR;
        int64_t last = cpu_smaller(cpu_share(n_groups, s + 1, n_stretches) * LARGEST_VECTOR, C);
        r->kernels->winograd_filters(&r->c->weight, first, filters, channel, last - channel, u);
        multiply_points(r, end - first, channel, last - channel, u, m);
    }
    r->kernels->winograd_output(&r->out, m, r->first, r->count, first, filters);
}

/* The same number of blocks for each thread, all nearly as wide as can be. */
static int64_t count_blocks(const cpu_convolution *c, int vector, int n_threads) {
    int64_t n_vectors = cpu_divide_up(c->O, vector);
    int64_t n = cpu_divide_up(n_vectors, CPU_WINOGRAD_FILTERS / vector);
    return cpu_smaller(cpu_divide_up(n, n_threads) * n_threads, n_vectors);
}

void cpu_winograd_run(cpu_backend *backend, const cpu_convolution *c, void *workspace) {
    const cpu_kernels *kernels = backend->kernels;
    int64_t down = cpu_divide_up(c->OH, 4), across = cpu_divide_up(c->OW, 4);
    int64_t most = tiles_of_round(c);
    rounds r = {
        .c = c,
        .kernels = kernels,
        .in = {.x = c->x.data,
               .dtype = c->x.dtype,
               .H = c->H,
               .W = c->W,
               .C = c->C,
               .top = c->a.padding[0],
               .left = c->a.padding[2],
               .tiles_down = down,
               .tiles_across = across,
               .tile_stride = tile_stride(c),
               .point_stride = cpu_winograd_stride(most * tile_stride(c))},
        .out = {.H = c->OH,
                .W = c->OW,
                .tiles_down = down,
                .tiles_across = across,
                .epilogue = c->epilogue},
        .n_tiles = count_tiles(c),
        .n_blocks = count_blocks(c, kernels->vector, cpu_n_threads(backend)),
        .v = workspace,
    };
    for (; r.first < r.n_tiles; r.first += r.count) {
        r.count = cpu_smaller(most, r.n_tiles - r.first);
        cpu_parallel(backend, cpu_divide_up(r.count, TILES_AT_ONCE), transform_tiles, &r);
        cpu_parallel(backend, r.n_blocks, compute_filters, &r);
    }
}
