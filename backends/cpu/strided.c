/*
 * Walks over strided tensors, and moving elements along them. See strided.h.
 */
#include "backends/cpu/strided.h"

#include <string.h>

/* ---- walks ---- */

/* Whether dimension `axis` continues the walk's last one in every operand. */
static bool continues(const cpu_walk *w, int axis, int64_t size, const int64_t *const *strides) {
    for (int k = 0; k < w->n_operands; k++)
        if (w->strides[k][w->n_dims - 1] != strides[k][axis] * size)
            return false;
    return true;
}

static void add_dimension(cpu_walk *w, int axis, int64_t size, const int64_t *const *strides) {
    if (w->n_dims > 0 && continues(w, axis, size, strides)) {
        w->dims[w->n_dims - 1] *= size;
    } else {
        w->dims[w->n_dims] = size;
        w->n_dims++;
    }
    for (int k = 0; k < w->n_operands; k++)
        w->strides[k][w->n_dims - 1] = strides[k][axis];
}

cpu_walk cpu_walk_over(int n_dims, const int64_t *dims, int n_operands,
                       const int64_t *const *strides) {
    cpu_walk w = {.n_operands = n_operands};
    int64_t n_rows = 1;
    for (int axis = 0; axis < n_dims; axis++)
        if (dims[axis] != 1)
            add_dimension(&w, axis, dims[axis], strides);
    if (w.n_dims == 0) {
        w.n_dims = 1;
        w.dims[0] = 1;
        for (int k = 0; k < n_operands; k++)
            w.strides[k][0] = 1;
    }
    for (int axis = 0; axis < w.n_dims - 1; axis++)
        n_rows *= w.dims[axis];
    int64_t row = w.dims[w.n_dims - 1];
    w.piece = cpu_smaller(row, CPU_ITEM_ELEMENTS);
    w.n_pieces = row ? cpu_divide_up(row, w.piece) : 0;
    w.n_units = n_rows * w.n_pieces;
    w.n_items = cpu_n_items(w.n_units, w.piece);
    return w;
}

int64_t cpu_walk_at(const cpu_walk *walk, int64_t unit, int64_t *offsets) {
    int last = walk->n_dims - 1;
    int64_t row = unit / walk->n_pieces, start = unit % walk->n_pieces * walk->piece;
    for (int k = 0; k < walk->n_operands; k++)
        offsets[k] = start * walk->strides[k][last];
    for (int axis = last - 1; axis >= 0; axis--) {
        int64_t i = axis ? row % walk->dims[axis] : row;
        row = axis ? row / walk->dims[axis] : 0;
        for (int k = 0; k < walk->n_operands; k++)
            offsets[k] += i * walk->strides[k][axis];
    }
    return cpu_smaller(walk->piece, walk->dims[last] - start);
}

/* ---- moving ---- */

typedef struct move {
    const cpu_kernels *kernels;
    const cpu_walk *walk;
    int64_t bytes;
    const char *from;
    char *to;
    /* of a matrix that is turned over: its rows are dimension `axis`, which has stride 1 in `from` */
    int axis;
    int64_t n_blocks, n_column_blocks, n_items;
} move;

static void copy_strided(const char *from, int64_t step_from, char *to, int64_t step_to,
                         int64_t bytes, int64_t n) {
#define COPY(size)                                                                                 \
    case size:                                                                                     \
        for (int64_t i = 0; i < n; i++)                                                            \
            memcpy(to + i * step_to * (size), from + i * step_from * (size), size);                \
        break;
    switch (bytes) {
        COPY(1)
        COPY(2)
        COPY(4)
        COPY(8)
    }
#undef COPY
}

static void move_rows(void *user, int64_t item, cpu_thread *thread) {
    const move *m = user;
    const cpu_walk *w = m->walk;
    int64_t step_from = w->strides[0][w->n_dims - 1], step_to = w->strides[1][w->n_dims - 1];
    cpu_range units = cpu_item_units(w->n_units, item, w->n_items);
    (void)thread;
    for (int64_t unit = units.first; unit < units.end; unit++) {
        int64_t at[CPU_WALK_OPERANDS], n = cpu_walk_at(w, unit, at);
        const char *from = m->from + at[0] * m->bytes;
        char *to = m->to + at[1] * m->bytes;
        if (step_from == 1 && step_to == 1)
            memcpy(to, from, (size_t)(n * m->bytes));
        else
            copy_strided(from, step_from, to, step_to, m->bytes, n);
    }
}

/* ---- a matrix turned over ---- */

#define BLOCK_ROWS    32
#define BLOCK_COLUMNS 512

/* A block of the matrix at one place of the dimensions other than `axis` and the last. */
static void turn_block(const move *m, int64_t index) {
    const cpu_walk *w = m->walk;
    int last = w->n_dims - 1;
    int64_t n_row_blocks = cpu_divide_up(w->dims[m->axis], BLOCK_ROWS);
    int64_t column = index % m->n_column_blocks * BLOCK_COLUMNS;
    int64_t row = index / m->n_column_blocks % n_row_blocks * BLOCK_ROWS;
    int64_t rest = index / m->n_column_blocks / n_row_blocks;
    int64_t from = row + column * w->strides[0][last];
    int64_t to = row * w->strides[1][m->axis] + column;
    for (int axis = last - 1; axis >= 0; axis--) {
        if (axis == m->axis)
            continue;
        from += rest % w->dims[axis] * w->strides[0][axis];
        to += rest % w->dims[axis] * w->strides[1][axis];
        rest /= w->dims[axis];
    }
    m->kernels->transpose(m->bytes, m->from + from * m->bytes, w->strides[0][last],
                          m->to + to * m->bytes, w->strides[1][m->axis],
                          cpu_smaller(BLOCK_ROWS, w->dims[m->axis] - row),
                          cpu_smaller(BLOCK_COLUMNS, w->dims[last] - column));
}

static void turn_item(void *user, int64_t item, cpu_thread *thread) {
    const move *m = user;
    cpu_range blocks = cpu_item_units(m->n_blocks, item, m->n_items);
    (void)thread;
    for (int64_t i = blocks.first; i < blocks.end; i++)
        turn_block(m, i);
}

/* The dimension before the last that has stride 1 in operand 0; -1: none. */
static int find_turned(const cpu_walk *w) {
    int last = w->n_dims - 1;
    if (w->strides[0][last] == 1 || w->strides[1][last] != 1)
        return -1;
    for (int axis = 0; axis < last; axis++)
        if (w->strides[0][axis] == 1)
            return axis;
    return -1;
}

static void count_blocks(move *m) {
    const cpu_walk *w = m->walk;
    int64_t rows = w->dims[m->axis], columns = w->dims[w->n_dims - 1], n_matrices = 1;
    for (int axis = 0; axis < w->n_dims - 1; axis++)
        n_matrices *= axis == m->axis ? 1 : w->dims[axis];
    m->n_column_blocks = cpu_divide_up(columns, BLOCK_COLUMNS);
    m->n_blocks = n_matrices * cpu_divide_up(rows, BLOCK_ROWS) * m->n_column_blocks;
    m->n_items = cpu_n_items(m->n_blocks,
                             cpu_smaller(BLOCK_ROWS, rows) * cpu_smaller(BLOCK_COLUMNS, columns));
}

void cpu_move(cpu_backend *backend, int64_t bytes, const cpu_walk *walk, const void *from,
              void *to) {
    move m = {.kernels = backend->kernels,
              .walk = walk,
              .bytes = bytes,
              .from = from,
              .to = to,
              .axis = find_turned(walk)};
    if (walk->n_units == 0)
        return;
    if (m.axis >= 0) {
        count_blocks(&m);
        cpu_parallel(backend, m.n_items, turn_item, &m);
    } else {
        cpu_parallel(backend, walk->n_items, move_rows, &m);
    }
}
