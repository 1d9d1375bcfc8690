/*
 * What the products with a weight share: rows of a matrix of any type as the product's a.
 */
#ifndef SF_BACKENDS_CPU_LINEAR_H
#define SF_BACKENDS_CPU_LINEAR_H

#include "backends/cpu/product.h"

/* Sets the product's a to the rows of x, which outlives the run: read where it lies if it is f32. */
void cpu_product_set_rows(cpu_product *product, const cpu_matrix *x);

#endif
