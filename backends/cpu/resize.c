/*
 * resize and avg_pool2d: rows of the output by themselves. Nearest moves bytes, and an output row that
 * shows the same row of x as the one before is copied from it.
 */
#include <string.h>

#include "backends/cpu/items.h"

/* x [N, H, W, C], y [N, height, width, C]; a unit is a row of y. */
typedef struct resizing {
    const cpu_kernels *kernels;
    int64_t H, W, C, height, width;
    int64_t n_units, n_items;
    int32_t mode;
    cpu_matrix x, y;
} resizing;

static int supports_resize(const sf_op_call *call) {
    const sf_resize_attributes *attributes = call->attributes;
    if (attributes->mode == SF_RESIZE_NEAREST && ref_input(call, 0)->dtype != call->output->dtype)
        return 0;
    return cpu_supports_plain_floats(call);
}

/* Rows of x, counted through all images, that a row of y lies between. */
static ref_position locate_row(const resizing *r, int64_t unit) {
    int64_t first = unit / r->height * r->H;
    ref_position at = ref_locate(r->mode, unit % r->height, r->H, r->height);
    return (ref_position){first + at.low, first + at.high, at.weight};
}

static void move_row(const resizing *r, int64_t unit) {
    int64_t pixel = r->C * ref_element_bytes(r->x.dtype);
    const char *row = (const char *)r->x.data + locate_row(r, unit).low * r->W * pixel;
    char *to = (char *)r->y.data + unit * r->width * pixel;
    for (int64_t j = 0; j < r->width; j++) {
        int64_t from = ref_locate(r->mode, j, r->W, r->width).low;
        memcpy(to + j * pixel, row + from * pixel, (size_t)pixel);
    }
}

static void repeat_row(const resizing *r, int64_t unit) {
    int64_t row = r->width * r->C * ref_element_bytes(r->x.dtype);
    char *to = (char *)r->y.data + unit * row;
    memcpy(to, to - row, (size_t)row);
}

static void blend_row(const resizing *r, int64_t unit) {
    ref_position v = locate_row(r, unit);
    for (int64_t j = 0; j < r->width; j++) {
        ref_position h = ref_locate(r->mode, j, r->W, r->width);
        int64_t corners[] = {(v.low * r->W + h.low) * r->C, (v.low * r->W + h.high) * r->C,
                             (v.high * r->W + h.low) * r->C, (v.high * r->W + h.high) * r->C};
        r->kernels->blend(&r->x, corners, h.weight, v.weight, &r->y, (unit * r->width + j) * r->C,
                          r->C);
    }
}

static void resize_item(void *user, int64_t item, cpu_thread *thread) {
    const resizing *r = user;
    cpu_range units = cpu_item_units(r->n_units, item, r->n_items);
    (void)thread;
    for (int64_t unit = units.first; unit < units.end; unit++)
        if (r->mode != SF_RESIZE_NEAREST)
            blend_row(r, unit);
        else if (unit > units.first && locate_row(r, unit).low == locate_row(r, unit - 1).low)
            repeat_row(r, unit);
        else
            move_row(r, unit);
}

static sf_status run_resize(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    const sf_resize_attributes *attributes = call->attributes;
    const int64_t *dims = ref_input(call, 0)->dims;
    resizing r = {.kernels = backend->kernels,
                  .H = dims[1],
                  .W = dims[2],
                  .C = dims[3],
                  .height = attributes->height,
                  .width = attributes->width,
                  .n_units = dims[0] * attributes->height,
                  .mode = attributes->mode,
                  .x = cpu_matrix_of(ref_input(call, 0)),
                  .y = cpu_matrix_of(call->output)};
    r.n_items = cpu_n_items(r.n_units, r.width * r.C);
    cpu_parallel(backend, r.n_items, resize_item, &r);
    return SF_OK;
}

const sf_op_entry cpu_resize = {
    .struct_size = sizeof(sf_op_entry),
    .op = "resize",
    .supports = supports_resize,
    .run = run_resize,
};

/* ---- avg_pool2d ---- */

#define CHANNELS 256 /* summed at once */

typedef struct pooling {
    const cpu_kernels *kernels;
    const int64_t *in, *out; /* dims */
    const sf_pool2d_attributes *a;
    int64_t n_units, n_items; /* rows of y */
    cpu_matrix x, y;
} pooling;

/* The mean of the window whose first element is x[first], for n channels, to y[to] on. */
static void pool_window(const pooling *p, int64_t first, int64_t to, int64_t n) {
    double sums[CHANNELS] = {0};
    int64_t W = p->in[2], C = p->in[3];
    for (int64_t u = 0; u < p->a->kernel[0]; u++)
        for (int64_t v = 0; v < p->a->kernel[1]; v++)
            p->kernels->add_scaled(&p->x, first + (u * W + v) * C, n, 1, sums);
    p->kernels->narrow_sums(sums, (double)p->a->kernel[0] * (double)p->a->kernel[1], &p->y, to, n);
}

static void pool_item(void *user, int64_t item, cpu_thread *thread) {
    const pooling *p = user;
    int64_t W = p->in[2], C = p->in[3];
    cpu_range units = cpu_item_units(p->n_units, item, p->n_items);
    (void)thread;
    for (int64_t unit = units.first; unit < units.end; unit++) {
        int64_t row = unit / p->out[1] * p->in[1] + unit % p->out[1] * p->a->stride[0];
        for (int64_t j = 0; j < p->out[2]; j++)
            for (int64_t c = 0; c < C; c += CHANNELS)
                pool_window(p, (row * W + j * p->a->stride[1]) * C + c,
                            (unit * p->out[2] + j) * C + c, cpu_smaller(CHANNELS, C - c));
    }
}

static sf_status run_pool(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    const int64_t *out = call->output->dims;
    pooling p = {.kernels = backend->kernels,
                 .in = ref_input(call, 0)->dims,
                 .out = out,
                 .a = call->attributes,
                 .n_units = out[0] * out[1],
                 .x = cpu_matrix_of(ref_input(call, 0)),
                 .y = cpu_matrix_of(call->output)};
    p.n_items = cpu_n_items(p.n_units, out[2] * out[3] * p.a->kernel[0] * p.a->kernel[1]);
    cpu_parallel(backend, p.n_items, pool_item, &p);
    return SF_OK;
}

const sf_op_entry cpu_avg_pool2d = {
    .struct_size = sizeof(sf_op_entry),
    .op = "avg_pool2d",
    .supports = cpu_supports_plain_floats,
    .run = run_pool,
};
