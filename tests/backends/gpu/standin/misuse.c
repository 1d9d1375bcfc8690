/*
 * Breaks one of the rules that the stand-in is there to hold, on purpose: a check of the checks.
 *
 *     misuse NAME      names are in the table at the end; "nothing" breaks none
 *
 * The process ends with STANDIN_EXIT_STATUS if the stand-in saw it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/gpu/cuda/arguments.h"
#include "backends/gpu/cuda/device.h"

static cuda_driver driver;
static cuda_blas blas;
static CUcontext context;
static CUstream stream;
static CUmodule module;
static CUfunction square;
static CUdeviceptr memory;

#define MEMORY_BYTES 4096

static void host_log(const sf_host *host, sf_log_level level, const char *format, ...) {
    (void)host, (void)level, (void)format;
}

static sf_status host_fail(const sf_host *host, sf_status status, const char *format, ...) {
    (void)host;
    fprintf(stderr, "%s\n", format);
    return status;
}

static const sf_host host = {.struct_size = sizeof host, .log = host_log, .fail = host_fail};

static void must(int result, const char *what) {
    if (result) {
        fprintf(stderr, "%s: %d\n", what, result);
        exit(1);
    }
}

#define MUST(call) must((int)(call), #call)

static void open_all(void) {
    MUST(cuda_load_driver(&host, &driver));
    cuda_load_blas(&host, &blas);
    must(!blas.library, "cuBLASLt");
    MUST(driver.cuDevicePrimaryCtxRetain(&context, 0));
    MUST(driver.cuCtxPushCurrent(context));
    MUST(driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    MUST(driver.cuModuleLoadDataEx(&module, cuda_fatbin, 0, NULL, NULL));
    MUST(driver.cuModuleGetFunction(&square, module, "unary"));
    MUST(driver.cuMemAlloc(&memory, MEMORY_BYTES));
}

static void close_all(void) {
    driver.cuStreamSynchronize(stream);
    if (memory)
        driver.cuMemFree(memory);
    driver.cuModuleUnload(module);
    driver.cuStreamDestroy(stream);
    driver.cuCtxPopCurrent(&context);
    driver.cuDevicePrimaryCtxRelease(0);
}

/* ---- launches ---- */

typedef struct launch {
    CUdeviceptr from, to;
    unsigned long long from_offset, to_offset;
    unsigned grid[3], group;
    gpu_uint n;
} launch;

static launch good_launch(void) {
    return (launch){memory, memory, 0, 0, {1, 1, 1}, CUDA_GROUP, 16};
}

static void run(launch l) {
    gpu_unary_arguments arguments = {.dims = {{1, 1, 1, 1, l.n ? l.n : 1}},
                                     .x = {{0, 0, 0, 0, 0}},
                                     .n = l.n,
                                     .function = GPU_EXP};
    void *parameters[] = {&l.from, &l.from_offset, &l.to, &l.to_offset, &arguments};
    driver.cuLaunchKernel(square, l.grid[0], l.grid[1], l.grid[2], l.group, 1, 1, 0, stream,
                          parameters, NULL);
}

static void nothing(void) {
    run(good_launch());
}

static void wrong_group(void) {
    launch l = good_launch();
    l.group = 128;
    run(l);
}

static void wrong_grid(void) {
    launch l = good_launch();
    l.grid[1] = 65536;
    run(l);
}

static void no_memory(void) {
    launch l = good_launch();
    l.to += 16;
    run(l);
}

static void offset_outside(void) {
    launch l = good_launch();
    l.to_offset = MEMORY_BYTES + 4;
    run(l);
}

static void writes_behind(void) {
    launch l = good_launch();
    l.to_offset = MEMORY_BYTES - 8;
    run(l);
}

static void freed_memory(void) {
    launch l = good_launch();
    driver.cuMemFree(memory);
    memory = 0;
    run(l);
}

static void unknown_kernel(void) {
    driver.cuModuleGetFunction(&square, module, "nonsuch");
}

static void damaged_binary(void) {
    unsigned char copy[64] = {0};
    driver.cuModuleLoadDataEx(&module, copy, 0, NULL, NULL);
}

/* ---- memory ---- */

static void copy_outside(void) {
    char data[64] = {0};
    driver.cuMemcpyHtoDAsync(memory + MEMORY_BYTES - 32, data, sizeof data, stream);
}

static void freed_twice(void) {
    driver.cuMemFree(memory);
}

static void changed_source(void) {
    static char data[64];
    driver.cuMemcpyHtoDAsync(memory, data, sizeof data, stream);
    driver.cuMemcpyHtoDAsync(memory + 64, data, sizeof data, stream);
    data[5]++;
}

/* Two uploads, the first one's source changed before or after an event between both is waited for. */
static void change_at_event(bool before) {
    static char first[48], second[64];
    CUevent event;
    driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
    driver.cuMemcpyHtoDAsync(memory, first, sizeof first, stream);
    driver.cuEventRecord(event, stream);
    driver.cuMemcpyHtoDAsync(memory + 64, second, sizeof second, stream);
    first[5] += before;
    driver.cuEventSynchronize(event);
    first[7]++;
    driver.cuEventDestroy(event);
}

static void changed_before_event(void) {
    change_at_event(true);
}

static void changed_after_event(void) {
    change_at_event(false);
}

static void leak(void) {
    memory = 0;
}

static void no_context(void) {
    CUcontext popped;
    driver.cuCtxPopCurrent(&popped);
    driver.cuStreamSynchronize(stream);
    driver.cuCtxPushCurrent(popped);
}

static void wrong_stream(void) {
    driver.cuStreamSynchronize((CUstream)(void *)&stream);
}

static void never_released(void) {
    MUST(driver.cuDevicePrimaryCtxRetain(&context, 0));
}

/* ---- products ---- */

typedef struct product {
    uint64_t a_rows;
    int64_t a_step;
    uint32_t alignment, reduction;
    uint64_t d_offset;
    bool other_algorithm;
} product;

static cublasLtMatmulAlgo_t choose(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                   const cublasLtMatrixLayout_t layouts[3], const product *p) {
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t found = {.state = CUBLAS_STATUS_NOT_SUPPORTED};
    int n_found = 0;
    blas.cublasLtMatmulPreferenceCreate(&preference);
    for (int i = CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
         i <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES; i++)
        blas.cublasLtMatmulPreferenceSetAttribute(preference,
                                                  (cublasLtMatmulPreferenceAttributes_t)i,
                                                  &p->alignment, sizeof p->alignment);
    blas.cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &p->reduction, sizeof p->reduction);
    blas.cublasLtMatmulAlgoGetHeuristic(handle, operation, layouts[0], layouts[1], layouts[2],
                                        layouts[2], preference, 1, &found, &n_found);
    blas.cublasLtMatmulPreferenceDestroy(preference);
    return found.algo;
}

/* d [8, 4] = a [8, 4] b [4, 4], one after another in memory */
static void multiply(product p) {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t layouts[3];
    const float one = 1, zero = 0;
    MUST(blas.cublasLtCreate(&handle));
    MUST(blas.cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    if (blas.cublasLtMatrixLayoutCreate(&layouts[0], CUDA_R_32F, p.a_rows, 4, p.a_step))
        return;
    MUST(blas.cublasLtMatrixLayoutCreate(&layouts[1], CUDA_R_32F, 4, 4, 4));
    MUST(blas.cublasLtMatrixLayoutCreate(&layouts[2], CUDA_R_32F, 8, 4, 8));
    cublasLtMatmulAlgo_t algorithm = choose(handle, operation, layouts, &p);
    if (p.other_algorithm)
        algorithm.data[0]++;
    void *d = (void *)(uintptr_t)(memory + 1024 + p.d_offset);
    blas.cublasLtMatmul(handle, operation, &one, (void *)(uintptr_t)memory, layouts[0],
                        (void *)(uintptr_t)(memory + 512), layouts[1], &zero, d, layouts[2], d,
                        layouts[2], &algorithm, NULL, 0, (cudaStream_t)stream);
    for (int i = 0; i < 3; i++)
        blas.cublasLtMatrixLayoutDestroy(layouts[i]);
    blas.cublasLtMatmulDescDestroy(operation);
    blas.cublasLtDestroy(handle);
}

static product good_product(void) {
    return (product){8, 8, 16, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 0, false};
}

static void no_misuse_of_a_product(void) {
    multiply(good_product());
}

static void short_step(void) {
    product p = good_product();
    p.a_step = 7;
    multiply(p);
}

static void wrong_sizes(void) {
    product p = good_product();
    p.a_rows = 7;
    multiply(p);
}

static void result_outside(void) {
    product p = good_product();
    p.d_offset = MEMORY_BYTES - 1024 - 64;
    multiply(p);
}

static void unaligned(void) {
    product p = good_product();
    p.d_offset = 4;
    multiply(p);
}

static void another_algorithm(void) {
    product p = good_product();
    p.other_algorithm = true;
    multiply(p);
}

static void sums_in_half(void) {
    product p = good_product();
    p.reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
    multiply(p);
}

static void leaked_layout(void) {
    cublasLtMatrixLayout_t layout;
    cublasLtHandle_t handle;
    MUST(blas.cublasLtCreate(&handle));
    MUST(blas.cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 4, 4, 4));
    blas.cublasLtDestroy(handle);
}

static const struct {
    const char *name;
    void (*misuse)(void);
} table[] = {
#define MISUSE(name)                                                                               \
    { #name, name }
    MISUSE(nothing),
    MISUSE(no_misuse_of_a_product),
    MISUSE(wrong_group),
    MISUSE(wrong_grid),
    MISUSE(no_memory),
    MISUSE(offset_outside),
    MISUSE(writes_behind),
    MISUSE(freed_memory),
    MISUSE(unknown_kernel),
    MISUSE(damaged_binary),
    MISUSE(copy_outside),
    MISUSE(freed_twice),
    MISUSE(changed_source),
    MISUSE(leak),
    MISUSE(changed_before_event),
    MISUSE(changed_after_event),
    MISUSE(no_context),
    MISUSE(wrong_stream),
    MISUSE(short_step),
    MISUSE(wrong_sizes),
    MISUSE(result_outside),
    MISUSE(unaligned),
    MISUSE(another_algorithm),
    MISUSE(sums_in_half),
    MISUSE(leaked_layout),
    MISUSE(never_released),
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, argv[1]) == 0) {
            open_all();
            table[i].misuse();
            close_all();
            return 0;
        }
    fprintf(stderr, "misuse NAME\n");
    return 1;
}
