/*
 * A convolution as a matrix product: row m of a is what output pixel m sees through the kernel. It is
 * gathered as the product asks for it, never as a whole. The inner dimension runs over blocks of
 * channels, the kernel's elements, and the channels of a block, so that pixels are copied in runs while
 * the weights, which lie as [O][C][KH][KW], are still read in order.
 */
#include "backends/cpu/convolution.h"
#include <string.h>

#include "backends/cpu/product.h"

static int64_t taps_of(const cpu_convolution *c) {
    return c->KH * c->KW;
}

/* A channel's elements have to fit into one stretch of the product. */
bool cpu_gathered_applies(const cpu_convolution *c) {
    return taps_of(c) <= CPU_PRODUCT_MOST_INNER;
}

/* The offset in x of the pixel under element (u, v) for output row `row`, -1 where it is outside. */
static int64_t find_pixel(const cpu_convolution *c, int64_t row, int64_t u, int64_t v) {
    int64_t j = row % c->OW, i = row / c->OW % c->OH, n = row / c->OW / c->OH;
    int64_t h = i * c->a.stride[0] + u * c->a.dilation[0] - c->a.padding[0];
    int64_t w = j * c->a.stride[1] + v * c->a.dilation[1] - c->a.padding[2];
    bool inside = h >= 0 && h < c->H && w >= 0 && w < c->W;
    return inside ? ((n * c->H + h) * c->W + w) * c->C : -1;
}

static void fetch(const cpu_product *p, int64_t group, int64_t first_row, int64_t rows,
                  int64_t first_inner, int64_t inner, void *rows_of_a) {
    const cpu_convolution *c = p->a;
    int64_t taps = taps_of(c), channels = inner / taps, element = ref_element_bytes(c->x.dtype);
    int64_t channel = group * (c->C / c->a.groups) + first_inner / taps;
    int64_t bytes = channels * (p->in_bf16 ? 2 : 4);
    char *a = rows_of_a;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t t = 0; t < taps; t++, a += bytes) {
            int64_t pixel = find_pixel(c, first_row + i, t / c->KW, t % c->KW);
            const char *source = (const char *)c->x.data + (pixel + channel) * element;
            if (pixel >= 0)
                cpu_product_load(p, c->x.dtype, source, a, channels);
            else
                memset(a, 0, (size_t)bytes);
        }
}

static void pack(const cpu_product *p, int64_t group, int64_t first, int64_t columns,
                 int64_t first_inner, int64_t inner, void *panels) {
    const cpu_convolution *c = p->b;
    if (p->in_bf16)
        p->kernels->pack_filters_bf16(&c->weight, group * p->N + first, columns, first_inner, inner,
                                      taps_of(c), panels);
    else
        p->kernels->pack_filters(&c->weight, group * p->N + first, columns, first_inner, inner,
                                 taps_of(c), panels);
}

static void finish(const cpu_product *p, int64_t group, float *sums, int64_t sums_stride,
                   int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
    p->kernels->finish(&p->epilogue, sums, sums_stride, first_row, rows,
                       group * p->N + first_column, columns);
}

void cpu_gathered_run(cpu_backend *backend, const cpu_convolution *c) {
    cpu_product product = {.M = c->N * c->OH * c->OW,
                           .N = c->O / c->a.groups,
                           .K = c->C / c->a.groups * taps_of(c),
                           .inner_unit = taps_of(c),
                           .n_products = c->a.groups,
                           .in_bf16 =
                               cpu_product_in_bf16(backend->kernels, c->x.dtype, c->weight.dtype),
                           .fetch = fetch,
                           .a = c,
                           .pack = pack,
                           .b = c,
                           .epilogue = c->epilogue,
                           .finish = finish};
    cpu_product_run(backend, &product);
}
