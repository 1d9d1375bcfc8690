/*
 * The blocked matrix product. See product.h.
 *
 * An item is a block of rows times a block of columns. For each stretch of the inner dimension, its
 * part of b is packed into panels (which stay in the second-level cache), then the rows go past, a few
 * at a time (which stay in the first-level cache), and the sums of the whole item are kept in scratch
 * until the inner dimension is through. So b is packed once for MOST_ROWS rows, and nothing depends on
 * the sizes but the number of items.
 */
#include "backends/cpu/product.h"

#include <string.h>

#define MOST_ROWS       512  /* of an item */
#define MANY_ROWS       1024 /* of an item whose sums need not be kept */
#define OWN_ROWS        256  /* enough for a thread to have rows of its own */
#define MOST_COLUMNS    CPU_PRODUCT_MOST_COLUMNS
#define MOST_INNER      CPU_PRODUCT_MOST_INNER
#define MOST_INNER_BF16 (2 * MOST_INNER)
#define ROWS_AT_ONCE    24 /* a multiple of each instruction set's rows */

#define PANELS_BYTES (MOST_COLUMNS * MOST_INNER * sizeof(float))
#define FETCH_BYTES  (ROWS_AT_ONCE * MOST_INNER * sizeof(float))

_Static_assert(PANELS_BYTES + FETCH_BYTES +
                       (MOST_ROWS + ROWS_AT_ONCE) * MOST_COLUMNS * sizeof(float) <=
                   CPU_SCRATCH_BYTES,
               "an item's blocks are larger than a thread's scratch memory");

typedef struct range {
    int64_t first, count;
} range;

/* Part `item` of n in n_items; starts at multiples of unit. */
static range part_of(int64_t n, int64_t unit, int64_t item, int64_t n_items) {
    int64_t n_units = cpu_divide_up(n, unit);
    int64_t first = cpu_share(n_units, item, n_items) * unit;
    int64_t end = cpu_smaller(cpu_share(n_units, item + 1, n_items) * unit, n);
    return (range){first, end - first};
}

/* What a thread works on. */
typedef struct item {
    const cpu_product *p;
    int64_t index; /* of the batch */
    range rows, columns;
    void *panels, *a;
    float *sums;
} item;

static int64_t element_bytes(const cpu_product *p) {
    return p->in_bf16 ? 2 : 4;
}

static void finish_rows(const item *t, float *sums, int64_t first, int64_t n) {
    const cpu_product *p = t->p;
    if (p->finish)
        p->finish(p, t->index, sums, MOST_COLUMNS, t->rows.first + first, n, t->columns.first,
                  t->columns.count);
    else
        p->kernels->finish(&p->epilogue, sums, MOST_COLUMNS, t->rows.first + first, n,
                           t->columns.first, t->columns.count);
}

/* Panels of set s; in bf16 there is room for an even number of inner elements. */
static void *panels_of(const item *t, range inner, int64_t s) {
    int64_t room = t->p->in_bf16 ? inner.count + inner.count % 2 : inner.count;
    return (char *)t->panels + s * (MOST_COLUMNS / t->p->n_sets) * room * element_bytes(t->p);
}

static void pack_panels(const item *t, range inner) {
    const cpu_product *p = t->p;
    for (int64_t s = 0; s < p->n_sets; s++)
        p->pack(p, p->n_sets > 1 ? s : t->index, t->columns.first, t->columns.count, inner.first,
                inner.count, panels_of(t, inner, s));
}

typedef struct rows_of_a {
    const void *data;
    int64_t stride; /* elements */
} rows_of_a;

static rows_of_a get_rows(const item *t, int64_t first, int64_t n, range inner) {
    const cpu_product *p = t->p;
    if (p->direct)
        return (rows_of_a){(const char *)p->direct +
                               (first * p->direct_stride + inner.first) * element_bytes(p),
                           p->direct_stride};
    p->fetch(p, t->index, first, n, inner.first, inner.count, t->a);
    return (rows_of_a){t->a, inner.count};
}

/* One stretch. Where it is the only one, the sums of a few rows are all that is kept of them. */
static void multiply_stretch(const item *t, range inner, bool is_first, bool is_last) {
    const cpu_product *p = t->p;
    int64_t set_columns = MOST_COLUMNS / p->n_sets;
    pack_panels(t, inner);
    for (int64_t i = 0; i < t->rows.count; i += ROWS_AT_ONCE) {
        int64_t n = cpu_smaller(ROWS_AT_ONCE, t->rows.count - i);
        float *sums = is_first && is_last ? t->sums : t->sums + i * MOST_COLUMNS;
        rows_of_a a = get_rows(t, t->rows.first + i, n, inner);
        for (int64_t s = 0; s < p->n_sets; s++)
            (p->in_bf16 ? p->kernels->multiply_bf16 : p->kernels->multiply)(
                n, t->columns.count, inner.count, a.data, a.stride, panels_of(t, inner, s),
                sums + s * set_columns, MOST_COLUMNS, !is_first);
        if (is_last)
            finish_rows(t, sums, i, n);
    }
}

/* A product without inner dimension: sums of nothing. */
static void finish_zeros(const item *t) {
    for (int64_t i = 0; i < t->rows.count; i++) {
        for (int64_t j = 0; j < MOST_COLUMNS; j++)
            t->sums[j] = 0;
        finish_rows(t, t->sums, i, 1);
    }
}

static void multiply_item(void *user, int64_t number, cpu_thread *thread) {
    const cpu_product *p = user;
    int64_t row_block = number % p->n_row_blocks, rest = number / p->n_row_blocks;
    item t = {
        .p = p,
        .index = rest / p->n_column_blocks,
        .rows = part_of(p->M, ROWS_AT_ONCE, row_block, p->n_row_blocks),
        .columns = part_of(p->N, p->kernels->vector, rest % p->n_column_blocks, p->n_column_blocks),
        .panels = thread->scratch,
        .a = thread->scratch + PANELS_BYTES,
        .sums = (float *)(thread->scratch + PANELS_BYTES + FETCH_BYTES),
    };
    if (!t.rows.count || !t.columns.count)
        return;
    for (int64_t k = 0; k < p->n_stretches; k++)
        multiply_stretch(&t, part_of(p->K, p->inner_unit, k, p->n_stretches), k == 0,
                         k == p->n_stretches - 1);
    if (!p->n_stretches)
        finish_zeros(&t);
}

/* Less than this many multiplications are done before another thread has joined. */
#define SMALL_PRODUCT 300000.0

/*
 * As few items as fit in scratch, but as many for each thread. With many rows each thread has rows of its
 * own, which are likely to be in its caches from the op before; a cut of the rows packs b once more, so
 * that with few rows the columns are cut.
 */
static void choose_blocks(cpu_product *p, int n_threads) {
    p->n_row_blocks = cpu_divide_up(p->M, p->n_stretches > 1 ? MOST_ROWS : MANY_ROWS);
    p->n_column_blocks = cpu_divide_up(p->N, MOST_COLUMNS / p->n_sets);
    if ((double)p->M * (double)p->N * (double)p->K * (double)p->n_products < SMALL_PRODUCT)
        return;
    if (p->M >= OWN_ROWS * n_threads)
        p->n_row_blocks = cpu_divide_up(p->n_row_blocks, n_threads) * n_threads;
    int64_t n_items = p->n_row_blocks * p->n_column_blocks * p->n_products;
    if (n_items >= 8 * n_threads || n_items % n_threads == 0)
        return;
    int64_t most_columns = cpu_divide_up(p->N, p->kernels->vector);
    int64_t wanted = cpu_divide_up(p->n_column_blocks, n_threads) * n_threads;
    p->n_column_blocks = cpu_smaller(wanted, most_columns);
    n_items = p->n_row_blocks * p->n_column_blocks * p->n_products;
    if (n_items < n_threads)
        p->n_row_blocks = cpu_smaller(cpu_divide_up(n_threads, p->n_column_blocks * p->n_products),
                                      cpu_divide_up(p->M, ROWS_AT_ONCE));
}

/*
 * Stretches of even length in bf16, where they can be: a pair that is cut in two is two lanes.
 */
static void choose_stretches(cpu_product *p) {
    int64_t most = p->in_bf16 ? MOST_INNER_BF16 : MOST_INNER;
    p->inner_unit = p->inner_unit ? p->inner_unit : 1;
    if (p->in_bf16 && p->inner_unit % 2)
        p->inner_unit *= 2;
    p->n_stretches = cpu_divide_up(cpu_divide_up(p->K, p->inner_unit), most / p->inner_unit);
}

void cpu_product_run(cpu_backend *backend, cpu_product *product) {
    product->kernels = backend->kernels;
    product->n_sets = product->n_sets ? product->n_sets : 1;
    choose_stretches(product);
    choose_blocks(product, cpu_n_threads(backend));
    cpu_parallel(backend, product->n_row_blocks * product->n_column_blocks * product->n_products,
                 multiply_item, product);
}

bool cpu_product_in_bf16(const cpu_kernels *kernels, int32_t a_dtype, int32_t b_dtype) {
    return kernels->multiply_bf16 && a_dtype == SF_BF16 &&
           (b_dtype == SF_BF16 || b_dtype == SF_F16);
}

void cpu_product_load(const cpu_product *product, int32_t dtype, const void *source, void *a,
                      int64_t n) {
    if (product->in_bf16)
        memcpy(a, source, (size_t)n * 2);
    else
        product->kernels->widen(dtype, source, a, n);
}

void cpu_product_pack_rows(const cpu_product *product, const cpu_matrix *b, int64_t first,
                           int64_t columns, int64_t first_inner, int64_t inner, void *panels) {
    const cpu_kernels *kernels = product->kernels;
    if (product->in_bf16)
        kernels->pack_rows_bf16(b, first, columns, first_inner, inner, panels);
    else
        kernels->pack_rows(b, first, columns, first_inner, inner, panels);
}
