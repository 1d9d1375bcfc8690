/*
 * Products of matrices: who computes them. See product.h.
 */
#include "backends/gpu/product.h"
#include "backends/gpu/kernels/few_rows.h"
#include "backends/gpu/kernels/finish.h"

/* ---- from calls ---- */

static int32_t type_or_absent(const sf_tensor_desc *tensor) {
    return ref_is_present(tensor) ? gpu_type_of(tensor) : GPU_ABSENT;
}

gpu_epilogue gpu_epilogue_of(const sf_op_call *call, int32_t activation) {
    const sf_tensor_desc *bias = ref_input(call, 2);
    return (gpu_epilogue){
        .scale = 1,
        .function = activation,
        .bias_type = type_or_absent(bias),
        .residual_type = type_or_absent(ref_input(call, 3)),
        .y_type = gpu_type_of(call->output),
        .bias_stride = ref_is_present(bias) ? (gpu_uint)bias->strides[0] : 0,
    };
}

gpu_factor gpu_factor_of(const sf_tensor_desc *tensor) {
    sf_tensor_desc batch = *tensor;
    int rank = tensor->n_dims;
    batch.n_dims = rank - 2;
    return (gpu_factor){
        .place = gpu_place_of(tensor),
        .dtype = tensor->dtype,
        .batch = gpu_strides_of(&batch),
        .row_stride = tensor->strides[rank - 2],
        .k_stride = tensor->strides[rank - 1],
    };
}

/* The dimensions from `first` on, without the last one, as one of *rows rows that far apart. */
static bool folds(const sf_tensor_desc *x, int first, int64_t *rows, int64_t *stride) {
    *rows = 1;
    *stride = 0;
    for (int axis = x->n_dims - 2; axis >= first; axis--) {
        if (x->dims[axis] == 1)
            continue;
        if (*rows == 1)
            *stride = x->strides[axis];
        else if (x->strides[axis] != *rows * *stride)
            return false;
        *rows *= x->dims[axis];
    }
    return true;
}

void gpu_take_rows(const sf_tensor_desc *x, gpu_factors *factors) {
    int first = 0;
    sf_tensor_desc batch = *x;
    gpu_factor *a = &factors->a;
    while (!folds(x, first, &factors->m, &a->row_stride))
        first++;
    batch.n_dims = first;
    factors->batch = gpu_dims_of(&batch);
    factors->n_batches = ref_elements(&batch);
    factors->k = x->dims[x->n_dims - 1];
    a->place = gpu_place_of(x);
    a->dtype = x->dtype;
    a->batch = gpu_strides_of(&batch);
    a->k_stride = x->strides[x->n_dims - 1];
}

bool gpu_residual_lies_as_output(const sf_op_call *call) {
    const sf_tensor_desc *residual = ref_input(call, 3);
    return !ref_is_present(residual) || ref_is_contiguous(residual);
}

/* ---- the library ---- */

/*
 * With a residual the product goes to scratch memory, as y may be where the residual is. The bound knows
 * neither device nor library.
 */
uint64_t gpu_product_workspace(const sf_op_call *call) {
    if (!ref_is_present(ref_input(call, 3)))
        return 0;
    return ref_room(ref_elements(call->output), (uint64_t)ref_element_bytes(call->output->dtype));
}

/* One stride for all matrices of a batch. */
static bool batch_stride(const gpu_dims *dims, const gpu_strides *strides, int64_t *stride) {
    int64_t count = 1;
    *stride = 0;
    for (int axis = GPU_MOST_DIMS - 1; axis >= 0; axis--) {
        if (dims->size[axis] == 1)
            continue;
        if (count == 1)
            *stride = strides->step[axis];
        else if (strides->step[axis] != count * *stride)
            return false;
        count *= dims->size[axis];
    }
    return true;
}

/* Whether a factor's matrix has rows, or columns, of numbers side by side, and its stride. */
static bool leading_stride(const gpu_factor *f, int64_t rows, int64_t k, bool turned,
                           int64_t *stride) {
    int64_t inner = turned ? f->row_stride : f->k_stride,
            outer = turned ? f->k_stride : f->row_stride;
    int64_t columns = turned ? rows : k, n_lines = turned ? k : rows;
    *stride = n_lines == 1 ? columns : outer;
    return (inner == 1 || columns == 1) && *stride >= columns;
}

/* The library's view of a product, false where it has none. */
static bool describe_product(const gpu_factors *f, gpu_product *p) {
    *p = (gpu_product){
        .m = f->m,
        .n = f->n,
        .k = f->k,
        .batch = f->n_batches,
        .a = {.place = f->a.place, .dtype = f->a.dtype},
        .b = {.place = f->b.place, .dtype = f->b.dtype},
        .c = {f->y, f->y_dtype, f->n, f->m * f->n},
        .alpha = f->epilogue.scale,
    };
    if (f->k == 0 || !leading_stride(&f->a, f->m, f->k, false, &p->a.row_stride) ||
        !batch_stride(&f->batch, &f->a.batch, &p->a.batch_stride) ||
        !batch_stride(&f->batch, &f->b.batch, &p->b.batch_stride))
        return false;
    p->transpose_b = leading_stride(&f->b, f->n, f->k, false, &p->b.row_stride);
    return p->transpose_b || leading_stride(&f->b, f->n, f->k, true, &p->b.row_stride);
}

/* A bias that is not there is added by every library. */
static bool library_adds_bias(const gpu_backend *backend, const gpu_factors *f) {
    return f->epilogue.bias_type == GPU_ABSENT ||
           (backend->abilities.product_bias && f->epilogue.bias_type == f->epilogue.y_type &&
            f->epilogue.bias_stride == 1);
}

/* A residual is added after the activation, and lies as the output does. */
static bool library_adds_residual(const gpu_backend *backend, const gpu_factors *f) {
    return backend->abilities.product_residual && f->epilogue.residual_type == f->epilogue.y_type &&
           f->epilogue.function == GPU_NONE && library_adds_bias(backend, f);
}

/* y may lie where the residual does, which is added after the product. */
static bool has_residual_left(const gpu_factors *f, const gpu_product *p) {
    return f->epilogue.residual_type != GPU_ABSENT && !p->has_residual;
}

/*
 * Whether the product is the library's; it is then asked for with the bias and the residual that the
 * library adds, which are part of how it plans the product.
 */
static bool library_takes(gpu_backend *backend, const gpu_factors *f, gpu_product *p) {
    p->has_bias = library_adds_bias(backend, f) && f->epilogue.bias_type != GPU_ABSENT;
    p->has_residual = library_adds_residual(backend, f);
    if (p->has_bias)
        p->bias = f->bias;
    if (p->has_residual)
        p->residual = f->residual;
    p->is_finished_later = (f->epilogue.bias_type != GPU_ABSENT && !p->has_bias) ||
                           (f->epilogue.residual_type != GPU_ABSENT && !p->has_residual) ||
                           f->epilogue.function != GPU_NONE;
    if (has_residual_left(f, p))
        p->c.place = f->workspace;
    return gpu_library_takes(backend, p);
}

bool gpu_product_is_library_s(gpu_backend *backend, const gpu_factors *f) {
    gpu_product product;
    return describe_product(f, &product) && library_takes(backend, f, &product);
}

static sf_status finish_product(gpu_backend *backend, const gpu_factors *f, gpu_place sums) {
    const gpu_finish_arguments a = {
        .n = (uint32_t)(f->n_batches * f->m * f->n),
        .columns = (uint32_t)f->n,
        .sum_type = f->epilogue.y_type,
        .epilogue = f->epilogue,
    };
    gpu_count_bytes(backend, 2 * (uint64_t)a.n * (uint64_t)ref_element_bytes(f->y_dtype));
    return gpu_run(backend, GPU_KERNEL_finish, gpu_groups_for(backend, a.n), &a, sizeof a, 4,
                   (const gpu_place[]){sums, f->bias, f->residual, f->y});
}

/* The library scales the sums, and adds the bias where it can; *rest is what is left to do. */
static sf_status multiply(gpu_backend *backend, const gpu_factors *f, gpu_product *p,
                          gpu_factors *rest) {
    *rest = *f;
    rest->epilogue.scale = 1;
    if (library_adds_bias(backend, f))
        rest->epilogue.bias_type = GPU_ABSENT;
    if (library_adds_residual(backend, f))
        rest->epilogue.residual_type = GPU_ABSENT;
    return gpu_run_product(backend, p);
}

static sf_status run_library(gpu_backend *backend, const gpu_factors *f, gpu_product *p) {
    gpu_factors rest;
    sf_status status = multiply(backend, f, p, &rest);
    bool done = !has_residual_left(f, p) && rest.epilogue.bias_type == GPU_ABSENT &&
                rest.epilogue.function == GPU_NONE;
    return status != SF_OK || done ? status : finish_product(backend, &rest, p->c.place);
}

/* Both halves to scratch memory, then the gate. */
static sf_status run_library_geglu(gpu_backend *backend, const gpu_factors *f, gpu_product *p) {
    gpu_factors rest;
    sf_status status = multiply(backend, f, p, &rest);
    const gpu_finish_arguments a = {
        .n = (uint32_t)(f->m * f->n),
        .columns = (uint32_t)f->n,
        .sum_type = f->epilogue.y_type,
        .epilogue = rest.epilogue,
    };
    gpu_count_bytes(backend, 4 * (uint64_t)a.n * (uint64_t)ref_element_bytes(f->y_dtype));
    if (status != SF_OK)
        return status;
    return gpu_run(backend, GPU_KERNEL_finish_geglu, gpu_groups_for(backend, a.n), &a, sizeof a, 3,
                   (const gpu_place[]){p->c.place, f->bias, f->y});
}

/* ---- kernels of ours ---- */

static bool has_few_rows(const gpu_factors *f) {
    return f->n_batches == 1 && f->m <= GPU_FEW_ROWS && f->a.k_stride == 1 && f->b.k_stride == 1;
}

static sf_status run_few_rows(gpu_backend *backend, const gpu_factors *f) {
    const gpu_few_rows_arguments a = {
        .m = (uint32_t)f->m,
        .n = (uint32_t)f->n,
        .k = (uint32_t)f->k,
        .a_stride = (uint32_t)f->a.row_stride,
        .b_stride = (uint32_t)f->b.row_stride,
        .a_type = gpu_type_from(f->a.dtype),
        .b_type = gpu_type_from(f->b.dtype),
        .epilogue = f->epilogue,
    };
    return gpu_run(backend, GPU_KERNEL_few_rows,
                   gpu_groups_for(backend, (uint64_t)a.n * GPU_FEW_ROWS_TEAM), &a, sizeof a, 5,
                   (const gpu_place[]){f->a.place, f->b.place, f->bias, f->residual, f->y});
}

static gpu_matrix_view view_of(const gpu_factor *f) {
    return (gpu_matrix_view){f->batch, (uint32_t)f->row_stride, (uint32_t)f->k_stride,
                             gpu_type_from(f->dtype)};
}

gpu_product_arguments gpu_product_arguments_of(const gpu_factors *f, uint32_t rows,
                                               uint32_t columns) {
    return (gpu_product_arguments){
        .batch = f->batch,
        .m = (uint32_t)f->m,
        .n = (uint32_t)f->n,
        .k = (uint32_t)f->k,
        .tiles_down = ((uint32_t)f->m + rows - 1) / rows,
        .tiles_across = ((uint32_t)f->n + columns - 1) / columns,
        .a = view_of(&f->a),
        .b = view_of(&f->b),
        .epilogue = f->epilogue,
    };
}

gpu_grid gpu_product_grid(const gpu_factors *f, const gpu_product_arguments *a) {
    return (gpu_grid){{(uint32_t)f->n_batches * a->tiles_down * a->tiles_across, 1, 1}};
}

static sf_status run_product(gpu_backend *backend, const gpu_factors *f) {
    uint32_t group = backend->abilities.group_size;
    const gpu_product_arguments a =
        gpu_product_arguments_of(f, GPU_TILE_ROWS(group), GPU_TILE_COLUMNS(group));
    return gpu_run(backend, GPU_KERNEL_product, gpu_product_grid(f, &a), &a, sizeof a, 5,
                   (const gpu_place[]){f->a.place, f->b.place, f->bias, f->residual, f->y});
}

static sf_status run_geglu(gpu_backend *backend, const gpu_factors *f) {
    uint32_t group = backend->abilities.group_size;
    const gpu_product_arguments a =
        gpu_product_arguments_of(f, GPU_TILE_ROWS(group), GPU_TILE_COLUMNS(group) / 2);
    return gpu_run(backend, GPU_KERNEL_product_geglu, gpu_product_grid(f, &a), &a, sizeof a, 4,
                   (const gpu_place[]){f->a.place, f->b.place, f->bias, f->y});
}

/* ---- who does it ---- */

/*
 * The library's product is taken to be a quarter faster than ours by matrix units, and ours to do the rest
 * on the way, which else is a launch that reads and writes again: 4 bytes for each 2 k operations, of a
 * product with a gate 8 for each 4 k. On a device of 165 TFLOP/s and 1 TB/s both cost the same at 1300.
 */
#define MOST_DEPTH 1280

static bool is_rather_ours(const gpu_backend *backend, const gpu_factors *f) {
    return f->k <= MOST_DEPTH && gpu_product_halves_applies(backend, f);
}

/* Whether the library would leave something to do. */
static bool has_more_to_do(const gpu_backend *backend, const gpu_factors *f) {
    return f->epilogue.function != GPU_NONE || !library_adds_bias(backend, f) ||
           (f->epilogue.residual_type != GPU_ABSENT && !library_adds_residual(backend, f));
}

sf_status gpu_product_run(gpu_backend *backend, const gpu_factors *f) {
    gpu_product product;
    bool ours = has_more_to_do(backend, f) && is_rather_ours(backend, f);
    if (!ours && describe_product(f, &product) && library_takes(backend, f, &product))
        return run_library(backend, f, &product);
    if (has_few_rows(f))
        return run_few_rows(backend, f);
    return gpu_product_halves_applies(backend, f) ? gpu_product_halves_run(backend, f, false)
                                                  : run_product(backend, f);
}

/* As for convolutions, the library's product of halves is worth storing both halves of the sums. */
static bool library_takes_geglu(gpu_backend *backend, const gpu_factors *f, gpu_product *p) {
    gpu_factors whole = *f;
    whole.n = 2 * f->n;
    whole.y = f->workspace;
    return f->y_dtype != SF_F32 && f->n_batches == 1 && describe_product(&whole, p) &&
           library_takes(backend, f, p);
}

sf_status gpu_product_geglu_run(gpu_backend *backend, const gpu_factors *f) {
    gpu_product product;
    if (!is_rather_ours(backend, f) && library_takes_geglu(backend, f, &product))
        return run_library_geglu(backend, f, &product);
    return gpu_product_halves_applies(backend, f) ? gpu_product_halves_run(backend, f, true)
                                                  : run_geglu(backend, f);
}
