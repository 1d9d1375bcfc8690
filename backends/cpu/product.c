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

#define MOST_ROWS    512 /* of an item */
#define MOST_COLUMNS CPU_PRODUCT_MOST_COLUMNS
#define MOST_INNER   CPU_PRODUCT_MOST_INNER
#define ROWS_AT_ONCE 24 /* a multiple of each instruction set's rows */

#define PANELS_BYTES (MOST_COLUMNS * MOST_INNER * sizeof(float))
#define FETCH_BYTES  (ROWS_AT_ONCE * MOST_INNER * sizeof(float))

_Static_assert(PANELS_BYTES + FETCH_BYTES + MOST_ROWS * MOST_COLUMNS * sizeof(float) <=
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

static void multiply_part(const cpu_product *p, int64_t index, range rows, range columns,
                          range inner, cpu_thread *thread) {
    float *panels = (float *)thread->scratch;
    float *a = (float *)(thread->scratch + PANELS_BYTES);
    float *sums = (float *)(thread->scratch + PANELS_BYTES + FETCH_BYTES);
    int64_t set_columns = MOST_COLUMNS / p->n_sets, set_panels = set_columns * inner.count;
    for (int64_t s = 0; s < p->n_sets; s++)
        p->pack(p, p->n_sets > 1 ? s : index, columns.first, columns.count, inner.first,
                inner.count, panels + s * set_panels);
    for (int64_t i = 0; i < rows.count; i += ROWS_AT_ONCE) {
        int64_t n = cpu_smaller(ROWS_AT_ONCE, rows.count - i);
        p->fetch(p, index, rows.first + i, n, inner.first, inner.count, a);
        for (int64_t s = 0; s < p->n_sets; s++)
            p->kernels->multiply(n, columns.count, inner.count, a, inner.count,
                                 panels + s * set_panels, sums + i * MOST_COLUMNS + s * set_columns,
                                 MOST_COLUMNS, inner.first > 0);
    }
}

static void multiply_item(void *user, int64_t item, cpu_thread *thread) {
    const cpu_product *p = user;
    float *sums = (float *)(thread->scratch + PANELS_BYTES + FETCH_BYTES);
    range columns =
        part_of(p->N, p->kernels->vector, item % p->n_column_blocks, p->n_column_blocks);
    item /= p->n_column_blocks;
    range rows = part_of(p->M, ROWS_AT_ONCE, item % p->n_row_blocks, p->n_row_blocks);
    int64_t index = item / p->n_row_blocks;
    int64_t unit = p->inner_unit ? p->inner_unit : 1;
    int64_t n_stretches = cpu_divide_up(cpu_divide_up(p->K, unit), MOST_INNER / unit);
    if (!rows.count || !columns.count)
        return;
    for (int64_t k = 0; k < n_stretches; k++)
        multiply_part(p, index, rows, columns, part_of(p->K, unit, k, n_stretches), thread);
    for (int64_t i = 0; !n_stretches && i < rows.count * MOST_COLUMNS; i++)
        sums[i] = 0;
    if (p->finish)
        p->finish(p, index, sums, MOST_COLUMNS, rows.first, rows.count, columns.first,
                  columns.count);
    else
        p->kernels->finish(&p->epilogue, sums, MOST_COLUMNS, rows.first, rows.count, columns.first,
                           columns.count);
}

/*
 * As few items as fit in scratch, but for each thread the same number: columns are cut finer for that,
 * since a cut of the rows packs b once more.
 */
static void choose_blocks(cpu_product *p, int n_threads) {
    p->n_row_blocks = cpu_divide_up(p->M, MOST_ROWS);
    p->n_column_blocks = cpu_divide_up(p->N, MOST_COLUMNS / p->n_sets);
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

void cpu_product_run(cpu_backend *backend, cpu_product *product) {
    product->kernels = backend->kernels;
    product->n_sets = product->n_sets ? product->n_sets : 1;
    choose_blocks(product, cpu_n_threads(backend));
    cpu_parallel(backend, product->n_row_blocks * product->n_column_blocks * product->n_products,
                 multiply_item, product);
}
