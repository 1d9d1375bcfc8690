/*
 * group_norm: x is read twice. First in chunks of rows for sums by group, in f32 around a number near
 * the group's mean, collected in double; then to be normalised, every channel with factors of its own.
 * Chunks depend on sizes alone and their sums are put together in order, so that the number of threads
 * changes nothing. y may be x.
 *
 * Letters: N samples of P positions and C channels.
 */
#include <math.h>

#include "backends/cpu/items.h"

#define CHUNK_ELEMENTS   (INT64_C(1) << 15)
#define CHUNK_ROWS       16   /* at least, so that there are few chunks */
#define ROWS_IN_F32      32   /* added up before they go to double */
#define COLUMNS_AT_ONCE  2048 /* of a chunk; three rows of them stay in the first-level cache */
#define COLUMNS_WITH_END (COLUMNS_AT_ONCE + 16)

_Static_assert(3 * COLUMNS_WITH_END * sizeof(float) <= CPU_SCRATCH_BYTES, "scratch is too small");

/* Sums of x - shift and of its square over a chunk's part of a group. */
typedef struct part {
    double shift, sum, square;
} part;

typedef struct group_norm {
    const cpu_kernels *kernels;
    int64_t N, P, groups, size;   /* size: channels of a group */
    int64_t chunk_rows, n_chunks; /* of a sample */
    int64_t n_items;
    double epsilon;
    part *parts;                     /* [N, n_chunks, groups] */
    const float *scale, *shift;      /* [C], NULL: 1, 0 */
    float *means, *scales, *shifts;  /* [N, C], for cpu_normalization */
    cpu_normalization normalization; /* of the first sample */
} group_norm;

static void set_sizes(group_norm *g, const sf_op_call *call) {
    const sf_norm_attributes *attributes = call->attributes;
    int64_t C = ref_columns(call->output);
    g->N = call->output->dims[0];
    g->P = g->N ? ref_rows(call->output) / g->N : 0;
    g->groups = attributes->groups;
    g->size = C / g->groups;
    g->chunk_rows = C > CHUNK_ELEMENTS / CHUNK_ROWS ? CHUNK_ROWS : CHUNK_ELEMENTS / (C ? C : 1);
    g->n_chunks = cpu_divide_up(g->P, g->chunk_rows);
    g->epsilon = (double)attributes->epsilon;
}

/* The sums of all chunks, and per sample and channel what normalising takes. */
static uint64_t workspace(const sf_op_call *call) {
    group_norm g = {0};
    set_sizes(&g, call);
    uint64_t channels = ref_room(g.N * ref_columns(call->output), sizeof(float));
    uint64_t bytes = ref_room(g.N * g.n_chunks * g.groups, sizeof(part));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 1)));
    bytes = ref_add_bytes(bytes, ref_load_room(ref_input(call, 2)));
    for (int i = 0; i < 3; i++)
        bytes = ref_add_bytes(bytes, channels);
    return bytes;
}

/* ---- sums of a chunk ---- */

/* Rows first .. first + rows - 1 of all samples as a matrix; they are of one sample. */
typedef struct chunk {
    int64_t first, rows;
    part *parts; /* [groups] */
} chunk;

static chunk chunk_at(const group_norm *g, int64_t index) {
    int64_t sample = index / g->n_chunks, first = index % g->n_chunks * g->chunk_rows;
    return (chunk){.first = sample * g->P + first,
                   .rows = cpu_smaller(g->chunk_rows, g->P - first),
                   .parts = g->parts + index * g->groups};
}

/* Starts the sums of a group around the mean of its channels (the first of them) in the first row. */
static void start_part(const group_norm *g, chunk c, int64_t group) {
    const cpu_matrix *x = &g->normalization.x;
    int64_t n = cpu_smaller(g->size, COLUMNS_AT_ONCE);
    double sums[2] = {0};
    g->kernels->moments(x, c.first * x->row_stride + group * g->size, n, 0, sums);
    c.parts[group] = (part){.shift = (double)(float)(sums[0] / (double)n)};
}

/* Adds sums of columns first .. first + columns - 1 to those of their groups. */
static void collect(const group_norm *g, chunk c, int64_t first, int64_t columns, const float *sums,
                    const float *squares) {
    for (int64_t j = 0; j < columns;) {
        int64_t group = (first + j) / g->size;
        int64_t end = cpu_smaller((group + 1) * g->size - first, columns);
        double sum = 0, square = 0;
        for (; j < end; j++) {
            sum += (double)sums[j];
            square += (double)squares[j];
        }
        c.parts[group].sum += sum;
        c.parts[group].square += square;
    }
}

static void add_columns(const group_norm *g, chunk c, int64_t first, int64_t columns,
                        float *scratch) {
    float *shifts = scratch, *sums = shifts + COLUMNS_WITH_END;
    float *squares = sums + COLUMNS_WITH_END;
    for (int64_t j = 0; j < columns; j++)
        shifts[j] = (float)c.parts[(first + j) / g->size].shift;
    for (int64_t j = columns; j < columns + 16; j++)
        shifts[j] = 0;
    for (int64_t i = 0; i < c.rows; i += ROWS_IN_F32) {
        g->kernels->column_moments(&g->normalization.x, c.first + i,
                                   cpu_smaller(ROWS_IN_F32, c.rows - i), first, columns, shifts,
                                   sums, squares);
        collect(g, c, first, columns, sums, squares);
    }
}

static void sum_item(void *user, int64_t item, cpu_thread *thread) {
    const group_norm *g = user;
    int64_t C = g->normalization.columns;
    cpu_range chunks = cpu_item_units(g->N * g->n_chunks, item, g->n_items);
    for (int64_t i = chunks.first; i < chunks.end; i++) {
        chunk c = chunk_at(g, i);
        for (int64_t group = 0; group < g->groups; group++)
            start_part(g, c, group);
        for (int64_t j = 0; j < C; j += COLUMNS_AT_ONCE)
            add_columns(g, c, j, cpu_smaller(COLUMNS_AT_ONCE, C - j), (float *)thread->scratch);
    }
}

/* ---- a group's mean and variance ---- */

typedef struct statistics {
    double mean, variance;
} statistics;

/* All in double, where squares leave the range of f32; slower. */
static statistics measure_in_double(const group_norm *g, int64_t sample, int64_t group) {
    const cpu_matrix *x = &g->normalization.x;
    double n = (double)g->P * (double)g->size, mean = 0, sums[2];
    for (int pass = 0; pass < 2; pass++) {
        sums[0] = sums[1] = 0;
        for (int64_t i = sample * g->P; i < (sample + 1) * g->P; i++)
            g->kernels->moments(x, i * x->row_stride + group * g->size, g->size, mean, sums);
        mean = pass == 0 ? sums[0] / n : mean;
    }
    return (statistics){mean, sums[1] / n};
}

/* The mean of all chunks first, then the squares around it. */
static statistics measure(const group_norm *g, int64_t sample, int64_t group) {
    const part *parts = g->parts + sample * g->n_chunks * g->groups + group;
    double n = (double)g->P * (double)g->size, sum = 0, square = 0;
    for (int64_t i = 0; i < g->n_chunks; i++) {
        const part *p = parts + i * g->groups;
        double rows = (double)cpu_smaller(g->chunk_rows, g->P - i * g->chunk_rows);
        sum += p->sum + p->shift * rows * (double)g->size;
    }
    double mean = sum / n;
    for (int64_t i = 0; i < g->n_chunks; i++) {
        const part *p = parts + i * g->groups;
        double rows = (double)cpu_smaller(g->chunk_rows, g->P - i * g->chunk_rows);
        double d = p->shift - mean; /* x - mean = (x - shift) + d */
        square += p->square + d * (2 * p->sum + d * rows * (double)g->size);
    }
    if (!(square < 1e35) || (square < 1e-28 && g->epsilon < 1e-20))
        return measure_in_double(g, sample, group);
    return (statistics){mean, square / n};
}

/* x - mean is taken of the mean rounded to f32; what that leaves is in the shift. */
static void set_factors(const group_norm *g, int64_t sample, int64_t group) {
    statistics s = measure(g, sample, group);
    int64_t first = sample * g->normalization.columns;
    float mean = (float)s.mean;
    double factor = 1 / sqrt(s.variance + g->epsilon), rest = (s.mean - (double)mean) * factor;
    for (int64_t c = group * g->size; c < (group + 1) * g->size; c++) {
        double scale = g->scale ? (double)g->scale[c] : 1;
        g->means[first + c] = mean;
        g->scales[first + c] = (float)(factor * scale);
        g->shifts[first + c] = (float)((g->shift ? (double)g->shift[c] : 0) - rest * scale);
    }
}

/* ---- the whole ---- */

static void normalize_item(void *user, int64_t item, cpu_thread *thread) {
    const group_norm *g = user;
    cpu_range rows = cpu_item_units(g->N * g->P, item, g->n_items);
    (void)thread;
    while (rows.first < rows.end) {
        int64_t sample = rows.first / g->P, offset = sample * g->normalization.columns;
        int64_t end = cpu_smaller(rows.end, (sample + 1) * g->P);
        cpu_normalization normalization = g->normalization;
        normalization.mean = g->means + offset;
        normalization.scale = g->scales + offset;
        normalization.shift = g->shifts + offset;
        g->kernels->normalize(&normalization, rows.first, end - rows.first);
        rows.first = end;
    }
}

static void take_memory(group_norm *g, const sf_op_call *call) {
    ref_scratch scratch = ref_scratch_of(call);
    int64_t channels = g->N * ref_columns(call->output);
    g->parts = ref_take(&scratch, g->N * g->n_chunks * g->groups, sizeof *g->parts);
    g->scale = ref_load(&scratch, ref_input(call, 1));
    g->shift = ref_load(&scratch, ref_input(call, 2));
    g->means = ref_take(&scratch, channels, sizeof(float));
    g->scales = ref_take(&scratch, channels, sizeof(float));
    g->shifts = ref_take(&scratch, channels, sizeof(float));
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    const sf_norm_attributes *attributes = call->attributes;
    group_norm g = {.kernels = backend->kernels,
                    .normalization = {.x = cpu_matrix_of(ref_input(call, 0)),
                                      .y = cpu_matrix_of(call->output),
                                      .columns = ref_columns(call->output),
                                      .activation = attributes->activation}};
    set_sizes(&g, call);
    take_memory(&g, call);
    int64_t C = g.normalization.columns;
    g.n_items = cpu_n_items(g.N * g.n_chunks, cpu_smaller(g.chunk_rows, g.P) * C);
    cpu_parallel(backend, g.n_items, sum_item, &g);
    for (int64_t sample = 0; sample < g.N; sample++)
        for (int64_t group = 0; group < g.groups; group++)
            set_factors(&g, sample, group);
    g.n_items = cpu_n_items(g.N * g.P, C);
    cpu_parallel(backend, g.n_items, normalize_item, &g);
    return SF_OK;
}

const sf_op_entry cpu_group_norm = {
    .struct_size = sizeof(sf_op_entry),
    .op = "group_norm",
    .supports = cpu_supports_plain_floats,
    .workspace = workspace,
    .run = run,
    .in_place = SF_IN_PLACE(0),
};
