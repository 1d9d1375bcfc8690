/*
 * The stand-in for cuBLASLt: descriptions, the choice of an "algorithm", and a product's checks. Its
 * memory, streams and faults are those of the other library. See standin.h.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backends/gpu/standin/blas.h"

#define HANDLE     0x68616e64u
#define LAYOUT     0x6c61796fu
#define OPERATION  0x6f706572u
#define PREFERENCE 0x70726566u

/* What large products ask for, so that there is one. */
#define LARGE           ((uint64_t)1 << 16)
#define WORKSPACE_BYTES 65536

typedef struct blas_handle {
    uint32_t magic;
} blas_handle;

typedef struct blas_preference {
    uint32_t magic, reduction;
    uint32_t alignments[4]; /* of a, b, c, d */
    uint64_t most_bytes;
} blas_preference;

/* What is in a cublasLtMatmulAlgo_t: good for this product alone. */
typedef struct blas_algorithm {
    uint64_t product, workspace_bytes;
    uint32_t alignments[4], bias_alignment;
} blas_algorithm;

_Static_assert(sizeof(blas_algorithm) <= sizeof(cublasLtMatmulAlgo_t), "it must fit");

static const standin_services *services;
static int n_handles, n_objects; /* handles, and all else */

static bool find_services(void) {
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    services = driver ? dlsym(driver, "standin_services_table") : NULL;
    if (!services)
        fprintf(stderr, "stand-in: cuBLASLt without the driver's stand-in\n");
    return services != NULL;
}

static cublasStatus_t invalid(CUresult told) {
    (void)told;
    return CUBLAS_STATUS_INVALID_VALUE;
}

/* Tells a broken rule, and is the status that the call fails with. */
#define FAULT(...) invalid(services->fault(CUDA_SUCCESS, __VA_ARGS__))

/* ---- objects ---- */

static void *make(size_t bytes, uint32_t magic) {
    uint32_t *made = services || find_services() ? calloc(1, bytes) : NULL;
    if (made) {
        *made = magic;
        *(magic == HANDLE ? &n_handles : &n_objects) += 1;
    }
    return made;
}

/* The object, if it is one of that kind. */
static void *object(const void *handle, uint32_t magic, const char *what) {
    if (handle && *(const uint32_t *)handle == magic)
        return (void *)(uintptr_t)handle;
    services->fault(CUDA_SUCCESS, "cuBLASLt: not a %s", what);
    return NULL;
}

static cublasStatus_t destroy(void *handle, uint32_t magic, const char *what) {
    uint32_t *destroyed = object(handle, magic, what);
    if (!destroyed)
        return CUBLAS_STATUS_INVALID_VALUE;
    *destroyed = 0;
    free(destroyed);
    *(magic == HANDLE ? &n_handles : &n_objects) -= 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *made) {
    standin_context *context;
    *made = make(sizeof(blas_handle), HANDLE);
    if (!*made)
        return CUBLAS_STATUS_ALLOC_FAILED;
    if (services->current("cublasLtCreate", &context) == CUDA_SUCCESS)
        return CUBLAS_STATUS_SUCCESS;
    destroy(*made, HANDLE, "handle");
    return CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    cublasStatus_t result = destroy(handle, HANDLE, "handle");
    if (n_handles == 0 && n_objects)
        FAULT("cuBLASLt: %d descriptions are left", n_objects);
    return result;
}

/* ---- layouts ---- */

static bool is_float(int type) {
    return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType type,
                                          uint64_t n_rows, uint64_t n_columns, int64_t step) {
    if (!is_float(type) || !n_rows || !n_columns || step < (int64_t)n_rows)
        return FAULT("a layout of type %d, %llu x %llu, step %lld", (int)type,
                     (unsigned long long)n_rows, (unsigned long long)n_columns, (long long)step);
    blas_layout *layout = make(sizeof *layout, LAYOUT);
    if (!layout)
        return CUBLAS_STATUS_ALLOC_FAILED;
    *layout = (blas_layout){LAYOUT, type, n_rows, n_columns, step, 0, 1};
    *made = (cublasLtMatrixLayout_t)(void *)layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t handle) {
    return destroy(handle, LAYOUT, "layout");
}

/* Copies a value that must have that size. */
static cublasStatus_t set(void *to, size_t wanted, const void *from, size_t bytes) {
    if (!from || bytes != wanted)
        return FAULT("an attribute of %zu bytes, not %zu", wanted, bytes);
    memcpy(to, from, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

#define SET(member) set(&(member), sizeof(member), value, bytes)

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t handle,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void *value, size_t bytes) {
    blas_layout *layout = object(handle, LAYOUT, "layout");
    if (!layout)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)
        return SET(layout->n_batch);
    if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)
        return SET(layout->batch_stride);
    return FAULT("layout attribute %d is not known here", (int)attribute);
}

/* ---- operations ---- */

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    blas_operation *operation = make(sizeof *operation, OPERATION);
    if (!operation)
        return CUBLAS_STATUS_ALLOC_FAILED;
    *operation = (blas_operation){.magic = OPERATION,
                                  .transposes = {CUBLAS_OP_N, CUBLAS_OP_N},
                                  .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                                  .bias_type = -1};
    *made = (cublasLtMatmulDesc_t)(void *)operation;
    if (compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F)
        return CUBLAS_STATUS_SUCCESS;
    destroy(operation, OPERATION, "operation");
    return FAULT("sums of type %d, factors of type %d", (int)compute, (int)scale);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t handle) {
    return destroy(handle, OPERATION, "operation");
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t handle,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
    blas_operation *operation = object(handle, OPERATION, "operation");
    if (!operation)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (attribute == CUBLASLT_MATMUL_DESC_TRANSA)
        return SET(operation->transposes[0]);
    if (attribute == CUBLASLT_MATMUL_DESC_TRANSB)
        return SET(operation->transposes[1]);
    if (attribute == CUBLASLT_MATMUL_DESC_EPILOGUE)
        return SET(operation->epilogue);
    if (attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER)
        return SET(operation->bias);
    if (attribute == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE)
        return SET(operation->bias_type);
    return FAULT("operation attribute %d is not known here", (int)attribute);
}

/* ---- preferences ---- */

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made) {
    blas_preference *preference = make(sizeof *preference, PREFERENCE);
    if (!preference)
        return CUBLAS_STATUS_ALLOC_FAILED;
    for (int i = 0; i < 4; i++)
        preference->alignments[i] = 256;
    preference->reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
    *made = (cublasLtMatmulPreference_t)(void *)preference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t handle) {
    return destroy(handle, PREFERENCE, "preference");
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t handle,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    blas_preference *preference = object(handle, PREFERENCE, "preference");
    if (!preference)
        return CUBLAS_STATUS_INVALID_VALUE;
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return SET(preference->most_bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return SET(preference->reduction);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return SET(preference->alignments[0]);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return SET(preference->alignments[1]);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return SET(preference->alignments[2]);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return SET(preference->alignments[3]);
    default:
        return FAULT("preference %d is not known here", (int)attribute);
    }
}

/* ---- what goes together ---- */

typedef struct description {
    const blas_operation *operation;
    const blas_layout *layouts[4]; /* of a, b, c, d */
} description;

static bool describe(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                     const cublasLtMatrixLayout_t layouts[4], description *described) {
    bool known = object(handle, HANDLE, "handle") != NULL;
    described->operation = object(operation, OPERATION, "operation");
    for (int i = 0; i < 4; i++) {
        described->layouts[i] = object(layouts[i], LAYOUT, "layout");
        known = known && described->layouts[i];
    }
    return known && described->operation;
}

static void rotate_hash(uint64_t *hash, uint64_t value) {
    *hash = (*hash ^ value) * UINT64_C(0x100000001b3);
    *hash ^= *hash >> 29;
}

/* Of all that an algorithm may depend on. */
static uint64_t hash_of(const description *described) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    rotate_hash(&hash, described->operation->transposes[0]);
    rotate_hash(&hash, described->operation->transposes[1]);
    rotate_hash(&hash, described->operation->epilogue);
    for (int i = 0; i < 4; i++) {
        const blas_layout *layout = described->layouts[i];
        rotate_hash(&hash, layout->type);
        rotate_hash(&hash, layout->n_rows);
        rotate_hash(&hash, layout->n_columns);
        rotate_hash(&hash, (uint64_t)layout->step);
        rotate_hash(&hash, (uint64_t)layout->batch_stride);
        rotate_hash(&hash, (uint64_t)layout->n_batch);
    }
    return hash;
}

static cublasStatus_t check_types(const description *described) {
    const blas_layout *const *l = described->layouts;
    const blas_operation *operation = described->operation;
    if (l[0]->type != l[1]->type || l[2]->type != l[3]->type ||
        (l[3]->type != l[0]->type && l[3]->type != CUDA_R_32F))
        return FAULT("a product of types %d, %d, %d, %d", (int)l[0]->type, (int)l[1]->type,
                     (int)l[2]->type, (int)l[3]->type);
    if (operation->epilogue != CUBLASLT_EPILOGUE_DEFAULT &&
        (operation->epilogue != CUBLASLT_EPILOGUE_BIAS || operation->bias_type != (int)l[3]->type))
        return FAULT("epilogue %d with a bias of type %d", (int)operation->epilogue,
                     operation->bias_type);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_sizes(const description *described) {
    const blas_layout *a = described->layouts[0], *b = described->layouts[1];
    const blas_layout *d = described->layouts[3];
    bool a_transposed = described->operation->transposes[0] == CUBLAS_OP_T;
    bool b_transposed = described->operation->transposes[1] == CUBLAS_OP_T;
    uint64_t rows = a_transposed ? a->n_columns : a->n_rows;
    uint64_t k = a_transposed ? a->n_rows : a->n_columns;
    uint64_t columns = b_transposed ? b->n_rows : b->n_columns;
    if (k != (b_transposed ? b->n_columns : b->n_rows) || rows != d->n_rows ||
        columns != d->n_columns)
        return FAULT("a product of %llu x %llu and %llu x %llu to %llu x %llu",
                     (unsigned long long)rows, (unsigned long long)k,
                     (unsigned long long)(b_transposed ? b->n_columns : b->n_rows),
                     (unsigned long long)columns, (unsigned long long)d->n_rows,
                     (unsigned long long)d->n_columns);
    return CUBLAS_STATUS_SUCCESS;
}

/* One batch for all; results lie apart. */
static cublasStatus_t check_batches(const description *described) {
    const blas_layout *d = described->layouts[3];
    int64_t last = (int64_t)(d->n_columns - 1) * d->step + (int64_t)d->n_rows;
    for (int i = 0; i < 4; i++)
        if (described->layouts[i]->n_batch != d->n_batch || d->n_batch < 1 ||
            described->layouts[i]->batch_stride < 0)
            return FAULT("batches of %d and %d", described->layouts[i]->n_batch, d->n_batch);
    bool rows_apart = d->batch_stride >= (int64_t)d->n_rows &&
                      (d->n_batch - 1) * d->batch_stride + (int64_t)d->n_rows <= d->step;
    if (d->n_batch > 1 && d->batch_stride < last && !rows_apart)
        return FAULT("results of a batch overlap: %lld elements from one to the next",
                     (long long)d->batch_stride);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_description(const description *described) {
    cublasStatus_t result = check_types(described);
    if (result == CUBLAS_STATUS_SUCCESS)
        result = check_sizes(described);
    return result == CUBLAS_STATUS_SUCCESS ? check_batches(described) : result;
}

static uint32_t alignment_of(const void *address) {
    uintptr_t bits = (uintptr_t)address | 256;
    return (uint32_t)(bits & -bits);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t wanted, int n_wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *n_found) {
    const cublasLtMatrixLayout_t layouts[] = {a, b, c, d};
    description described;
    const blas_preference *preference = object(wanted, PREFERENCE, "preference");
    if (!describe(handle, operation, layouts, &described) || !preference || n_wanted < 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    cublasStatus_t result = check_description(&described);
    if (result != CUBLAS_STATUS_SUCCESS)
        return result;
    if (preference->reduction & CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE)
        return FAULT("parts of sums may be added up in half precision");
    blas_algorithm chosen = {.product = hash_of(&described)};
    chosen.bias_alignment = alignment_of(described.operation->bias);
    memcpy(chosen.alignments, preference->alignments, sizeof chosen.alignments);
    uint64_t work = described.layouts[3]->n_rows * described.layouts[3]->n_columns;
    if (work >= LARGE && preference->most_bytes >= WORKSPACE_BYTES)
        chosen.workspace_bytes = WORKSPACE_BYTES;
    results[0] = (cublasLtMatmulHeuristicResult_t){.workspaceSize = chosen.workspace_bytes,
                                                   .state = CUBLAS_STATUS_SUCCESS};
    memcpy(&results[0].algo, &chosen, sizeof chosen);
    *n_found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- products ---- */

static bool check_operand(const standin_context *context, const blas_layout *layout,
                          const void *address, uint32_t alignment, const char *what) {
    uint64_t elements = (uint64_t)(layout->n_batch - 1) * (uint64_t)layout->batch_stride +
                        (layout->n_columns - 1) * (uint64_t)layout->step + layout->n_rows;
    if ((uintptr_t)address % alignment) {
        FAULT("%s at %p, but aligned to %u bytes was said", what, address, alignment);
        return false;
    }
    return services->block_at(context, (uintptr_t)address,
                              elements * blas_element_bytes(layout->type), what) != NULL;
}

static bool check_bias(const standin_context *context, const description *described,
                       const blas_algorithm *algorithm) {
    const blas_operation *operation = described->operation;
    if (operation->epilogue != CUBLASLT_EPILOGUE_BIAS)
        return true;
    if ((uintptr_t)operation->bias % algorithm->bias_alignment) {
        FAULT("the bias at %p, but aligned to %u bytes was said", operation->bias,
              algorithm->bias_alignment);
        return false;
    }
    uint64_t bytes =
        described->layouts[3]->n_rows * blas_element_bytes((cudaDataType_t)operation->bias_type);
    return services->block_at(context, (uintptr_t)operation->bias, bytes, "the bias") != NULL;
}

static bool check_algorithm(const standin_context *context, const description *described,
                            const blas_algorithm *algorithm, const void *workspace,
                            size_t workspace_bytes) {
    if (algorithm->product != hash_of(described)) {
        FAULT("an algorithm that was chosen for another product");
        return false;
    }
    if (workspace_bytes < algorithm->workspace_bytes) {
        FAULT("a workspace of %zu bytes, not %llu", workspace_bytes,
              (unsigned long long)algorithm->workspace_bytes);
        return false;
    }
    return !algorithm->workspace_bytes ||
           services->block_at(context, (uintptr_t)workspace, workspace_bytes, "the workspace");
}

/* The library works in the workspace: what was there is gone. */
static void use_workspace(const blas_algorithm *algorithm, void *workspace) {
    if (algorithm->workspace_bytes)
        memset(workspace, 0x7f, algorithm->workspace_bytes);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
    const cublasLtMatrixLayout_t layouts[] = {a_layout, b_layout, c_layout, d_layout};
    static const char *const names[] = {"a", "b", "c", "d"};
    const void *addresses[] = {a, b, c, d};
    blas_algorithm algorithm;
    description described;
    standin_context *context;
    if (!describe(handle, operation, layouts, &described) || !algo || !alpha || !beta)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (services->current("cublasLtMatmul", &context) != CUDA_SUCCESS)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    memcpy(&algorithm, algo, sizeof algorithm);
    bool right = check_description(&described) == CUBLAS_STATUS_SUCCESS &&
                 check_algorithm(context, &described, &algorithm, workspace, workspace_bytes) &&
                 check_bias(context, &described, &algorithm);
    for (int i = 0; i < 4 && right; i++)
        right = check_operand(context, described.layouts[i], addresses[i], algorithm.alignments[i],
                              names[i]);
    if (!right || d == a || d == b)
        return right ? FAULT("a result in place of an operand") : CUBLAS_STATUS_INVALID_VALUE;
    if (services->finish(context, (CUstream)stream) != CUDA_SUCCESS)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    services->counts->products++;
    use_workspace(&algorithm, workspace);
    const blas_product product = {
        .operation = described.operation,
        .layouts = {described.layouts[0], described.layouts[1], described.layouts[2],
                    described.layouts[3]},
        .a = a,
        .b = b,
        .c = c,
        .d = d,
        .alpha = *(const float *)alpha,
        .beta = *(const float *)beta,
    };
    return blas_multiply(&product) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}
