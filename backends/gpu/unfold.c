/*
 * Convolution by the library: what is multiplied is written out first, for some pixels at a time. See
 * convolution.h.
 */
#include "backends/gpu/kernels/unfold.h"
#include "backends/gpu/convolution.h"
#include "backends/gpu/product.h"

#define ROUND_BYTES ((int64_t)64 << 20)

bool gpu_unfold_applies(const sf_op_call *call) {
    const sf_conv2d_attributes *a = call->attributes;
    const sf_tensor_desc *x = ref_input(call, 0), *weight = ref_input(call, 1);
    return x->dtype != SF_F32 && weight->dtype == x->dtype && call->output->dtype == x->dtype &&
           a->groups == 1 && ref_is_contiguous(weight) && ref_elements(weight) > 0;
}

/* Numbers of a row: C KH KW. */
static int64_t row_length(const sf_op_call *call) {
    const int64_t *weight = ref_input(call, 1)->dims;
    return weight[1] * weight[2] * weight[3];
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Pixels of y, and those of a round. */
static int64_t count_pixels(const sf_op_call *call) {
    const int64_t *y = call->output->dims;
    return y[0] * y[1] * y[2];
}

static int64_t round_pixels(const sf_op_call *call) {
    int64_t fit = ROUND_BYTES / 2 / row_length(call);
    return smaller(count_pixels(call), fit > 0 ? fit : 1);
}

static uint64_t rows_bytes(const sf_op_call *call) {
    return ref_room(round_pixels(call) * row_length(call), 2);
}

uint64_t gpu_unfold_workspace(const sf_op_call *call) {
    return ref_add_bytes(rows_bytes(call), gpu_product_workspace(call));
}

/* The product of `n` pixels from `first` on. */
static gpu_factors factors_of(const sf_op_call *call, int64_t first, int64_t n) {
    const sf_conv2d_attributes *a = call->attributes;
    const sf_tensor_desc *weight = ref_input(call, 1), *residual = ref_input(call, 3);
    int64_t k = row_length(call), O = weight->dims[0];
    gpu_place rows = gpu_workspace(call);
    uint64_t from = (uint64_t)(first * O);
    gpu_factors f = {
        .batch = {{1, 1, 1, 1, 1}},
        .n_batches = 1,
        .m = n,
        .n = O,
        .k = k,
        .a = {.place = rows, .dtype = weight->dtype, .row_stride = k, .k_stride = 1},
        .b = {.place = gpu_place_of(weight),
              .dtype = weight->dtype,
              .row_stride = k,
              .k_stride = 1},
        .bias = gpu_place_of(ref_input(call, 2)),
        .y = gpu_place_after(gpu_place_of(call->output), 2 * from),
        .y_dtype = call->output->dtype,
        .epilogue = gpu_epilogue_of(call, a->activation),
        .workspace = gpu_place_after(rows, rows_bytes(call)),
    };
    f.residual = gpu_place_of(residual);
    if (ref_is_present(residual))
        f.residual.offset += from * (uint64_t)ref_element_bytes(residual->dtype);
    return f;
}

bool gpu_unfold_is_taken(gpu_backend *backend, const sf_op_call *call) {
    gpu_factors f = factors_of(call, 0, round_pixels(call));
    return gpu_product_is_library_s(backend, &f);
}

sf_status gpu_unfold_run(gpu_backend *backend, const sf_op_call *call) {
    int64_t n_pixels = count_pixels(call), most = round_pixels(call);
    gpu_unfold_arguments a = {.convolution = gpu_convolution_arguments_of(backend, call)};
    sf_status status = SF_OK;
    for (int64_t first = 0; status == SF_OK && first < n_pixels; first += most) {
        int64_t n = smaller(most, n_pixels - first);
        gpu_factors f = factors_of(call, first, n);
        a.first_pixel = (uint32_t)first;
        a.n = (uint32_t)(n * f.k);
        gpu_count_bytes(backend, 2 * 2 * (uint64_t)a.n);
        status = gpu_run(backend, GPU_KERNEL_unfold, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                         (const gpu_place[]){gpu_place_of(ref_input(call, 0)), f.a.place});
        if (status == SF_OK)
            status = gpu_product_run(backend, &f);
    }
    return status;
}
