/*
 * What the products with a weight share: rows of a matrix of any type as the product's a.
 */
#ifndef SF_BACKENDS_CPU_LINEAR_H
#define SF_BACKENDS_CPU_LINEAR_H

#include "backends/cpu/product.h"

/* cpu_product.fetch where a is a cpu_matrix. */
void cpu_fetch_rows(const cpu_product *product, int64_t index, int64_t first_row, int64_t rows,
                    int64_t first_inner, int64_t inner, float *a);

#endif
