/*
 * Products of matrices by cuBLASLt.
 *
 * What a product takes - the library's description of it, the algorithm that it chooses, workspace -
 * is made when a plan is, by gpu_driver_warm(), and kept with the device; gpu_driver_multiply() finds
 * it and allocates nothing.
 *
 * Sums are in f32 for all types, and products of f32 are of f32: no TF32. Where an algorithm divides
 * the sum among groups the parts are added up in f32, too.
 *
 * The library counts in columns. Row-major c [m, n] is column-major [n, m], so what it is asked for is
 * c' = b' a', with b in its first place and a in its second.
 */
#include <limits.h>
#include <string.h>

#include "backends/gpu/cuda/device.h"

/* What NVIDIA asks for on its newest devices; an algorithm that takes less is given less. */
#define MOST_WORKSPACE ((size_t)32 << 20)

/* Memory is aligned to 256 bytes; what begins inside of a tensor may be aligned to its elements. */
#define GOOD_ALIGNMENT 16

typedef struct chosen_algorithm {
    cublasLtMatmulAlgo_t algorithm;
    size_t workspace_bytes;
} chosen_algorithm;

struct cuda_product {
    gpu_product shape; /* its places say nothing */
    bool refused;      /* it could not be planned, and has nothing of what follows */
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, c;
    chosen_algorithm aligned; /* for operands at multiples of GOOD_ALIGNMENT */
    chosen_algorithm any;     /* for all, if there is one */
    bool has_any;
};

static sf_status blas_check(gpu_device *device, cublasStatus_t result, const gpu_product *product,
                            const char *what) {
    if (result == CUBLAS_STATUS_SUCCESS)
        return SF_OK;
    return device->host->fail(
        device->host, result == CUBLAS_STATUS_ALLOC_FAILED ? SF_ERROR_MEMORY : SF_ERROR_BACKEND,
        "cuBLAS, %s of %lld x %lld x %lld, batch %lld: status %d%s", what, (long long)product->m,
        (long long)product->n, (long long)product->k, (long long)product->batch, (int)result,
        result == CUBLAS_STATUS_NOT_SUPPORTED ? ", no algorithm" : "");
}

/* ---- opening ---- */

sf_status cuda_open_blas(gpu_device *device) {
    cuda_load_blas(device->host, &device->blas);
    if (!device->blas.library)
        return SF_OK;
    cublasStatus_t result = device->blas.cublasLtCreate(&device->blas_handle);
    if (result == CUBLAS_STATUS_SUCCESS)
        return SF_OK;
    device->blas_handle = NULL;
    device->host->log(device->host, SF_LOG_WARNING,
                      "cuBLAS does not start on %s (status %d): matrix products are left to slower "
                      "kernels",
                      device->name, (int)result);
    cuda_unload_blas(&device->blas);
    return SF_OK;
}

static void free_product(gpu_device *device, cuda_product *product) {
    const cuda_blas *blas = &device->blas;
    if (product->operation)
        blas->cublasLtMatmulDescDestroy(product->operation);
    if (product->a)
        blas->cublasLtMatrixLayoutDestroy(product->a);
    if (product->b)
        blas->cublasLtMatrixLayoutDestroy(product->b);
    if (product->c)
        blas->cublasLtMatrixLayoutDestroy(product->c);
}

void cuda_close_blas(gpu_device *device) {
    for (size_t i = 0; i < device->n_products; i++)
        free_product(device, &device->products[i]);
    device->host->resize(device->host, device->products, 0);
    device->products = NULL;
    if (device->workspace)
        device->driver.cuMemFree(device->workspace);
    if (device->blas_handle)
        device->blas.cublasLtDestroy(device->blas_handle);
}

uint64_t gpu_driver_library_bytes(const gpu_device *device) {
    return device->blas_handle ? MOST_WORKSPACE : 0;
}

/* ---- what the library takes ---- */

static bool is_same_matrix(const gpu_matrix *x, const gpu_matrix *y) {
    return x->dtype == y->dtype && x->row_stride == y->row_stride &&
           x->batch_stride == y->batch_stride;
}

static bool is_same(const gpu_product *x, const gpu_product *y) {
    return x->m == y->m && x->n == y->n && x->k == y->k && x->batch == y->batch &&
           x->transpose_b == y->transpose_b && x->has_bias == y->has_bias &&
           x->has_residual == y->has_residual && is_same_matrix(&x->a, &y->a) &&
           is_same_matrix(&x->b, &y->b) && is_same_matrix(&x->c, &y->c);
}

static const cuda_product *find_product(const gpu_device *device, const gpu_product *product) {
    for (size_t i = 0; i < device->n_products; i++)
        if (is_same(&device->products[i].shape, product))
            return &device->products[i];
    return NULL;
}

static bool is_float(int32_t dtype) {
    return dtype == SF_F32 || dtype == SF_F16 || dtype == SF_BF16;
}

static cudaDataType_t type_of(int32_t dtype) {
    return dtype == SF_F32 ? CUDA_R_32F : dtype == SF_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

/* Rows of so many elements must not overlap, but for a single one. */
static bool has_rows(const gpu_matrix *matrix, int64_t n_rows, int64_t row) {
    return n_rows == 1 || matrix->row_stride >= row;
}

bool gpu_driver_multiplies(const gpu_device *device, const gpu_product *product) {
    const gpu_matrix *a = &product->a, *b = &product->b, *c = &product->c;
    bool has_types =
        is_float(a->dtype) && b->dtype == a->dtype && (c->dtype == a->dtype || c->dtype == SF_F32);
    bool has_sizes = product->m > 0 && product->n > 0 && product->k > 0 && product->batch > 0 &&
                     product->m <= INT_MAX && product->n <= INT_MAX && product->k <= INT_MAX &&
                     product->batch <= INT_MAX;
    bool has_strides = has_rows(a, product->m, product->k) && has_rows(c, product->m, product->n) &&
                       has_rows(b, product->transpose_b ? product->n : product->k,
                                product->transpose_b ? product->k : product->n) &&
                       a->batch_stride >= 0 && b->batch_stride >= 0 &&
                       (product->batch == 1 || c->batch_stride > 0);
    if (!has_types || !has_sizes || !has_strides || !device)
        return has_types && has_sizes && has_strides;
    const cuda_product *planned = find_product(device, product);
    return device->blas_handle && (planned ? !planned->refused : !device->plans_no_more);
}

/* ---- describing a product ---- */

/* n_rows row-major rows, that is, so many columns. */
static cublasStatus_t describe_matrix(const cuda_blas *blas, const gpu_matrix *matrix,
                                      int64_t n_rows, int64_t row, int64_t batch,
                                      cublasLtMatrixLayout_t *layout) {
    int64_t step = matrix->row_stride > row ? matrix->row_stride : row;
    int64_t stride = matrix->batch_stride;
    int32_t count = (int32_t)batch;
    cublasStatus_t result = blas->cublasLtMatrixLayoutCreate(layout, type_of(matrix->dtype),
                                                             (uint64_t)row, (uint64_t)n_rows, step);
    if (result != CUBLAS_STATUS_SUCCESS) {
        *layout = NULL;
        return result;
    }
    if (batch == 1)
        return result;
    result = blas->cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                    &count, sizeof count);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = blas->cublasLtMatrixLayoutSetAttribute(
            *layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride);
    return result;
}

static cublasStatus_t describe_matrices(const cuda_blas *blas, const gpu_product *product,
                                        cuda_product *made) {
    int64_t m = product->m, n = product->n, k = product->k, batch = product->batch;
    cublasStatus_t result = describe_matrix(blas, &product->a, m, k, batch, &made->a);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = describe_matrix(blas, &product->b, product->transpose_b ? n : k,
                                 product->transpose_b ? k : n, batch, &made->b);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = describe_matrix(blas, &product->c, m, n, batch, &made->c);
    return result;
}

static cublasStatus_t set_bias(const cuda_blas *blas, cublasLtMatmulDesc_t operation,
                               CUdeviceptr bias) {
    const void *address = cuda_pointer(bias);
    return blas->cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                &address, sizeof address);
}

static cublasStatus_t describe_operation(const cuda_blas *blas, const gpu_product *product,
                                         cublasLtMatmulDesc_t *operation) {
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const int32_t bias_type = type_of(product->c.dtype);
    cublasStatus_t result =
        blas->cublasLtMatmulDescCreate(operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (result != CUBLAS_STATUS_SUCCESS) {
        *operation = NULL;
        return result;
    }
    if (product->transpose_b)
        result = blas->cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_TRANSA,
                                                      &transposed, sizeof transposed);
    if (result == CUBLAS_STATUS_SUCCESS && product->has_bias) {
        result = blas->cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                                      &epilogue, sizeof epilogue);
        if (result == CUBLAS_STATUS_SUCCESS)
            result = blas->cublasLtMatmulDescSetAttribute(
                *operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type);
    }
    return result;
}

/* ---- choosing algorithms ---- */

static cublasStatus_t set_preference(const cuda_blas *blas, cublasLtMatmulPreference_t preference,
                                     uint32_t alignment) {
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const uint64_t most = MOST_WORKSPACE;
    const uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasStatus_t result = blas->cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = blas->cublasLtMatmulPreferenceSetAttribute(
            preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction);
    for (int i = 0; i < 4 && result == CUBLAS_STATUS_SUCCESS; i++)
        result = blas->cublasLtMatmulPreferenceSetAttribute(preference, alignments[i], &alignment,
                                                            sizeof alignment);
    return result;
}

/* The library looks at where a bias is, and not at the bias: at something aligned like that. */
static cublasStatus_t choose_algorithm(gpu_device *device, cuda_product *product,
                                       uint32_t alignment, chosen_algorithm *chosen) {
    const cuda_blas *blas = &device->blas;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t best = {.state = CUBLAS_STATUS_NOT_SUPPORTED};
    int n_found = 0;
    cublasStatus_t result = blas->cublasLtMatmulPreferenceCreate(&preference);
    if (result != CUBLAS_STATUS_SUCCESS)
        return result;
    result = set_preference(blas, preference, alignment);
    if (result == CUBLAS_STATUS_SUCCESS && product->shape.has_bias)
        result = set_bias(blas, product->operation, alignment);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = blas->cublasLtMatmulAlgoGetHeuristic(device->blas_handle, product->operation,
                                                      product->b, product->a, product->c,
                                                      product->c, preference, 1, &best, &n_found);
    blas->cublasLtMatmulPreferenceDestroy(preference);
    if (result != CUBLAS_STATUS_SUCCESS)
        return result;
    if (n_found < 1 || best.state != CUBLAS_STATUS_SUCCESS)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    *chosen = (chosen_algorithm){best.algo, best.workspaceSize};
    return CUBLAS_STATUS_SUCCESS;
}

static uint32_t element_bytes(int32_t dtype) {
    return dtype == SF_F32 ? 4 : 2;
}

static sf_status make_product(gpu_device *device, const gpu_product *shape, cuda_product *made) {
    *made = (cuda_product){.shape = *shape};
    cublasStatus_t result = describe_operation(&device->blas, shape, &made->operation);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = describe_matrices(&device->blas, shape, made);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = choose_algorithm(device, made, GOOD_ALIGNMENT, &made->aligned);
    if (result == CUBLAS_STATUS_SUCCESS)
        made->has_any = choose_algorithm(device, made, element_bytes(shape->a.dtype), &made->any) ==
                        CUBLAS_STATUS_SUCCESS;
    sf_status status = blas_check(device, result, shape, "planning");
    if (status != SF_OK)
        free_product(device, made);
    return status;
}

/* ---- planning ---- */

/* The smaller one stays until the larger one is there: plans that were made before need it. */
static sf_status reserve_workspace(gpu_device *device, size_t bytes) {
    const cuda_driver *driver = &device->driver;
    CUdeviceptr made = 0;
    if (bytes <= device->workspace_bytes)
        return SF_OK;
    sf_status status =
        cuda_check(device->host, driver, driver->cuMemAlloc(&made, bytes), "workspace of cuBLAS");
    if (status != SF_OK)
        return status;
    if (device->workspace) {
        driver->cuStreamSynchronize(device->stream);
        driver->cuMemFree(device->workspace);
    }
    device->workspace = made;
    device->workspace_bytes = bytes;
    return SF_OK;
}

static sf_status reserve_products(gpu_device *device) {
    const sf_host *host = device->host;
    size_t capacity = device->products_capacity ? 2 * device->products_capacity : 32;
    if (device->n_products < device->products_capacity)
        return SF_OK;
    void *grown = host->resize(host, device->products, capacity * sizeof *device->products);
    if (!grown)
        return SF_ERROR_MEMORY;
    device->products = grown;
    device->products_capacity = capacity;
    return SF_OK;
}

static sf_status plan_product(gpu_device *device, const gpu_product *shape, cuda_product *made) {
    sf_status status = make_product(device, shape, made);
    if (status != SF_OK)
        return status;
    size_t bytes = made->any.workspace_bytes > made->aligned.workspace_bytes
                       ? made->any.workspace_bytes
                       : made->aligned.workspace_bytes;
    status = reserve_workspace(device, bytes);
    if (status != SF_OK)
        free_product(device, made);
    return status;
}

/* A product that can't be planned is remembered as well, so that nobody asks for it. */
sf_status gpu_driver_warm(gpu_device *device, const gpu_product *product) {
    cuda_product made;
    if (!gpu_driver_multiplies(device, product))
        return device->host->fail(device->host, SF_ERROR_UNSUPPORTED, "cuBLAS has no such product");
    if (find_product(device, product))
        return SF_OK;
    sf_status status = reserve_products(device);
    if (status == SF_OK)
        status = cuda_enter(device);
    if (status != SF_OK) {
        device->plans_no_more = true;
        return status;
    }
    status = plan_product(device, product, &made);
    if (status != SF_OK)
        made = (cuda_product){.shape = *product, .refused = true};
    device->products[device->n_products++] = made;
    cuda_leave(device);
    return status;
}

/* ---- multiplying ---- */

static bool is_aligned(const gpu_product *product) {
    uint64_t all = cuda_address(product->a.place) | cuda_address(product->b.place) |
                   cuda_address(product->c.place) | cuda_address(product->bias) |
                   cuda_address(product->residual);
    return all % GOOD_ALIGNMENT == 0;
}

static sf_status multiply(gpu_device *device, const cuda_product *planned,
                          const gpu_product *product) {
    const cuda_blas *blas = &device->blas;
    bool aligned = is_aligned(product);
    const chosen_algorithm *chosen = aligned ? &planned->aligned : &planned->any;
    void *c = cuda_pointer(cuda_address(product->c.place));
    bool has_residual = product->has_residual;
    const void *added = has_residual ? cuda_pointer(cuda_address(product->residual)) : c;
    const float beta = has_residual ? 1.0f : product->beta;
    cublasStatus_t result =
        aligned || planned->has_any ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
    if (result == CUBLAS_STATUS_SUCCESS && product->has_bias)
        result = set_bias(blas, planned->operation, cuda_address(product->bias));
    if (result == CUBLAS_STATUS_SUCCESS)
        result = blas->cublasLtMatmul(device->blas_handle, planned->operation, &product->alpha,
                                      cuda_pointer(cuda_address(product->b.place)), planned->b,
                                      cuda_pointer(cuda_address(product->a.place)), planned->a,
                                      &beta, added, planned->c, c, planned->c, &chosen->algorithm,
                                      cuda_pointer(device->workspace), device->workspace_bytes,
                                      device->stream);
    return blas_check(device, result, product, "a product");
}

sf_status gpu_driver_multiply(gpu_device *device, const gpu_product *product) {
    const cuda_product *planned = find_product(device, product);
    if (!planned)
        return device->host->fail(
            device->host, SF_ERROR_INTERNAL, "a product of %lld x %lld x %lld was not planned",
            (long long)product->m, (long long)product->n, (long long)product->k);
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    status = multiply(device, planned, product);
    cuda_leave(device);
    return status;
}
