/*
 * Winograd's convolution in blocks. The transforms are in isa/winograd.c.
 *
 * The tiles are taken in rounds. For a round's tiles the input is transformed; then, for a block of
 * filters at a time, the weights are transformed on the fly (a stretch of channels at a time, which stays
 * in the second-level cache), multiplied at all points, and the sums transformed back. So no transformed
 * copy of the weights is kept, four times as large as they are in f32: they are read once a round in the
 * type that they are stored in.
 *
 * A large picture has rounds for every thread, which then needs nothing of the others: what it
 * transforms stays in its own caches. In a small one the threads share a round, tiles first, filters
 * then.
 */
#include "backends/cpu/convolution.h"

#define LEAST_TILES   24 /* of a round of a single thread */
#define TILES_AT_ONCE 4  /* of the input's transform */
#define TILES_BYTES   (UINT64_C(24) << 20)
#define LARGE_SIDE    96 /* of the output */

/* cpu_winograd_stride() adds at most 271 floats. */
#define POINT_BYTES(floats) (((floats) + 272) * sizeof(float))
#define BLOCK_BYTES(size, count)                                                                   \
    (((size) + 2) * ((size) + 2) * POINT_BYTES((count)*CPU_WINOGRAD_FILTERS))
#define FILTERS_BYTES BLOCK_BYTES(4, 128)
#define SUMS_BYTES    BLOCK_BYTES(4, 256)

_Static_assert(FILTERS_BYTES + SUMS_BYTES <= CPU_SCRATCH_BYTES,
               "filters and sums are larger than a thread's scratch memory");

/* The most channels of a stretch and tiles of a round, by m. */
typedef struct sizes {
    int64_t channels, tiles;
} sizes;

static sizes most_of(int m) {
    return m == 4 ? (sizes){128, 256} : (sizes){64, 136};
}

_Static_assert(BLOCK_BYTES(6, 64) <= FILTERS_BYTES && BLOCK_BYTES(6, 136) <= SUMS_BYTES,
               "large tiles need more scratch memory than small ones");

/* A vector wide enough for every instruction set. */
#define LARGEST_VECTOR 16

bool cpu_winograd_applies(const cpu_convolution *c) {
    return c->N > 0 && c->KH == 3 && c->KW == 3 && c->a.stride[0] == 1 && c->a.stride[1] == 1 &&
           c->a.dilation[0] == 1 && c->a.dilation[1] == 1 && c->a.groups == 1 && c->C >= 8 &&
           c->OH >= 2 && c->OW >= 2;
}

/* ---- how the tiles are divided ---- */

/*
 * Larger tiles save a fifth of the multiplications, and lose some digits and what lies over the edges: for
 * large pictures alone.
 */
static int tile_size(const cpu_convolution *c) {
    return c->OH >= LARGE_SIDE && c->OW >= LARGE_SIDE ? 6 : 4;
}

typedef struct division {
    int m;          /* outputs along a side of a tile */
    int64_t points; /* (m + 2)^2 */
    int64_t n_tiles, n_rounds;
    int64_t most_tiles; /* of a round */
    bool is_shared;     /* all threads work on one round */
    int n_slots;        /* rounds at work at once */
} division;

/* Floats of a tile at one point; no multiple of a page, lest all rows meet in one cache set. */
static int64_t tile_stride(const cpu_convolution *c) {
    int64_t stride = cpu_divide_up(c->C, LARGEST_VECTOR) * LARGEST_VECTOR;
    return stride % 256 == 0 ? stride + LARGEST_VECTOR : stride;
}

static int64_t most_tiles_in(const cpu_convolution *c, const division *d, uint64_t bytes) {
    int64_t floats = (int64_t)(bytes / sizeof(float));
    int64_t fit = floats / d->points / tile_stride(c) / 8 * 8;
    return fit < 8 ? 8 : cpu_smaller(fit, most_of(d->m).tiles);
}

static division divide(const cpu_convolution *c) {
    int n_threads = cpu_pool_size();
    int m = tile_size(c);
    division d = {.m = m, .points = (m + 2) * (m + 2)};
    d.n_tiles = c->N * cpu_divide_up(c->OH, m) * cpu_divide_up(c->OW, m);
    int64_t fit = most_tiles_in(c, &d, TILES_BYTES / (uint64_t)n_threads);
    d.is_shared = n_threads == 1 || fit < LEAST_TILES || d.n_tiles < LEAST_TILES * n_threads;
    if (d.is_shared)
        fit = most_tiles_in(c, &d, TILES_BYTES);
    d.n_slots = d.is_shared ? 1 : n_threads;
    d.n_rounds = cpu_divide_up(d.n_tiles, fit);
    if (!d.is_shared)
        d.n_rounds = cpu_divide_up(d.n_rounds, n_threads) * n_threads;
    d.most_tiles = cpu_divide_up(d.n_tiles, d.n_rounds);
    return d;
}

static int64_t point_stride(const cpu_convolution *c, const division *d) {
    return cpu_winograd_stride(d->most_tiles * tile_stride(c));
}

uint64_t cpu_winograd_workspace(const cpu_convolution *c) {
    division d = divide(c);
    return ref_room(d.n_slots * d.points * point_stride(c, &d), sizeof(float));
}

/* ---- work ---- */

typedef struct work {
    const cpu_convolution *c;
    const cpu_kernels *kernels;
    cpu_winograd_input in;
    cpu_winograd_output out;
    division d;
    int64_t n_blocks; /* of filters */
    float *v;         /* [slots][points][tiles of a round][tile_stride] */
} work;

typedef struct tiles {
    int64_t first, count;
    float *v; /* [points][count][tile_stride] */
} tiles;

static tiles tiles_of_round(const work *w, int64_t round, int slot) {
    int64_t first = cpu_share(w->d.n_tiles, round, w->d.n_rounds);
    int64_t end = cpu_share(w->d.n_tiles, round + 1, w->d.n_rounds);
    return (tiles){first, end - first, w->v + slot * w->d.points * w->in.point_stride};
}

/* m [points][tiles][width] += v u for a stretch of channels */
static void multiply_points(const work *w, const tiles *t, int64_t width, int64_t channel,
                            int64_t channels, const float *u, float *m) {
    int64_t u_stride = cpu_winograd_stride(channels * width);
    int64_t m_stride = cpu_winograd_stride(t->count * width);
    for (int64_t p = 0; p < w->d.points; p++)
        w->kernels->multiply(t->count, width, channels, t->v + p * w->in.point_stride + channel,
                             w->in.tile_stride, u + p * u_stride, m + p * m_stride, width,
                             channel > 0);
}

static void compute_block(const work *w, const tiles *t, int64_t block, cpu_thread *thread) {
    float *u = (float *)thread->scratch, *m = (float *)(thread->scratch + FILTERS_BYTES);
    int64_t C = w->c->C, vector = w->kernels->vector, n_vectors = cpu_divide_up(w->c->O, vector);
    int64_t first = cpu_share(n_vectors, block, w->n_blocks) * vector;
    int64_t end = cpu_share(n_vectors, block + 1, w->n_blocks) * vector;
    int64_t filters = cpu_smaller(end, w->c->O) - first;
    int64_t n_stretches = cpu_divide_up(C, most_of(w->d.m).channels);
    int64_t n_groups = cpu_divide_up(C, LARGEST_VECTOR);
    for (int64_t s = 0; s < n_stretches; s++) {
        int64_t channel = cpu_share(n_groups, s, n_stretches) * LARGEST_VECTOR;
        int64_t last = cpu_smaller(cpu_share(n_groups, s + 1, n_stretches) * LARGEST_VECTOR, C);
        w->kernels->winograd_filters(w->d.m, &w->c->weight, first, filters, channel, last - channel,
                                     u);
        multiply_points(w, t, end - first, channel, last - channel, u, m);
    }
    w->kernels->winograd_output(&w->out, m, t->first, t->count, first, filters);
}

/* ---- a round for each thread ---- */

static void compute_round(void *user, int64_t round, cpu_thread *thread) {
    const work *w = user;
    tiles t = tiles_of_round(w, round, thread->index);
    w->kernels->winograd_input(&w->in, t.first, t.count, t.v);
    for (int64_t block = 0; block < w->n_blocks; block++)
        compute_block(w, &t, block, thread);
}

/* ---- a round for all ---- */

typedef struct shared_round {
    const work *w;
    tiles t;
} shared_round;

static void transform_tiles(void *user, int64_t item, cpu_thread *thread) {
    const shared_round *r = user;
    const work *w = r->w;
    (void)thread;
    int64_t first = item * TILES_AT_ONCE, n = cpu_smaller(TILES_AT_ONCE, r->t.count - first);
    w->kernels->winograd_input(&w->in, r->t.first + first, n, r->t.v + first * w->in.tile_stride);
}

static void compute_filters(void *user, int64_t block, cpu_thread *thread) {
    const shared_round *r = user;
    compute_block(r->w, &r->t, block, thread);
}

static void run_shared(cpu_backend *backend, const work *w) {
    for (int64_t round = 0; round < w->d.n_rounds; round++) {
        shared_round r = {w, tiles_of_round(w, round, 0)};
        cpu_parallel(backend, cpu_divide_up(r.t.count, TILES_AT_ONCE), transform_tiles, &r);
        cpu_parallel(backend, w->n_blocks, compute_filters, &r);
    }
}

/* Blocks nearly as wide as can be; where threads share them, as many for each. */
static int64_t count_blocks(const cpu_convolution *c, int vector, int n_threads) {
    int64_t n_vectors = cpu_divide_up(c->O, vector);
    int64_t n = cpu_divide_up(n_vectors, CPU_WINOGRAD_FILTERS / vector);
    return cpu_smaller(cpu_divide_up(n, n_threads) * n_threads, n_vectors);
}

void cpu_winograd_run(cpu_backend *backend, const cpu_convolution *c, void *workspace) {
    division d = divide(c);
    int64_t down = cpu_divide_up(c->OH, d.m), across = cpu_divide_up(c->OW, d.m);
    work w = {
        .c = c,
        .kernels = backend->kernels,
        .in = {.m = d.m,
               .x = c->x.data,
               .dtype = c->x.dtype,
               .H = c->H,
               .W = c->W,
               .C = c->C,
               .top = c->a.padding[0],
               .left = c->a.padding[2],
               .tiles_down = down,
               .tiles_across = across,
               .tile_stride = tile_stride(c)},
        .out = {.m = d.m,
                .H = c->OH,
                .W = c->OW,
                .tiles_down = down,
                .tiles_across = across,
                .epilogue = c->epilogue},
        .d = d,
        .v = workspace,
    };
    w.in.point_stride = point_stride(c, &w.d);
    w.n_blocks =
        count_blocks(c, backend->kernels->vector, w.d.is_shared ? cpu_n_threads(backend) : 1);
    if (w.d.is_shared)
        run_shared(backend, &w);
    else
        cpu_parallel(backend, w.d.n_rounds, compute_round, &w);
}
