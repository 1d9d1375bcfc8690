/*
 * Products of matrices by CLBlast.
 *
 * It is asked for f32 alone: its product of f16 adds up in f16, too little for rows of more than a few
 * numbers; ours adds up in f32. What it compiles for a device it keeps in memory, so a first product is
 * run when a plan is made. A device on which that fails goes on without the library.
 *
 * Products without a batch pad their matrices in memory that is set aside when a plan is made; those in a
 * batch allocate theirs inside of the library.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/gpu/opencl/opencl.h"

#include <clblast_c.h>

/* ---- errors ---- */

static const struct {
    CLBlastStatusCode code;
    const char *text;
} errors[] = {
    {CLBlastTempBufferAllocFailure, "no memory for padded matrices"},
    {CLBlastOpenCLBuildProgramFailure, "its kernels can't be compiled for this device"},
    {CLBlastInvalidLocalThreadsTotal, "its kernels need larger groups than this device has"},
    {CLBlastInvalidLocalMemUsage, "its kernels need more local memory than this device has"},
    {CLBlastInsufficientMemoryA, "the first matrix reaches past its buffer"},
    {CLBlastInsufficientMemoryB, "the second matrix reaches past its buffer"},
    {CLBlastInsufficientMemoryC, "the result reaches past its buffer"},
    {CLBlastInsufficientMemoryTemp, "the memory for padded matrices is too small"},
    {CLBlastInvalidLeadDimA, "the first matrix has rows that overlap"},
    {CLBlastInvalidLeadDimB, "the second matrix has rows that overlap"},
    {CLBlastInvalidLeadDimC, "the result has rows that overlap"},
    {CLBlastDatabaseError, "it does not know this device"},
    {CLBlastUnexpectedError, "an unexpected error"},
};

static const char *error_text(CLBlastStatusCode code) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code)
            return errors[i].text;
    return opencl_error_text((cl_int)code);
}

/* ---- products ---- */

static CLBlastTranspose transpose(bool turned) {
    return turned ? CLBlastTransposeYes : CLBlastTransposeNo;
}

static size_t first_of(const gpu_matrix *matrix) {
    return (size_t)(matrix->place.offset / sizeof(float));
}

static CLBlastStatusCode multiply_batch(gpu_device *device, const gpu_product *p) {
    return CLBlastSgemmStridedBatched(
        CLBlastLayoutRowMajor, CLBlastTransposeNo, transpose(p->transpose_b), (size_t)p->m,
        (size_t)p->n, (size_t)p->k, p->alpha, p->a.place.memory, first_of(&p->a),
        (size_t)p->a.row_stride, (size_t)p->a.batch_stride, p->b.place.memory, first_of(&p->b),
        (size_t)p->b.row_stride, (size_t)p->b.batch_stride, p->beta, p->c.place.memory,
        first_of(&p->c), (size_t)p->c.row_stride, (size_t)p->c.batch_stride, (size_t)p->batch,
        &device->queue, NULL);
}

static CLBlastStatusCode multiply_one(gpu_device *device, const gpu_product *p) {
    return CLBlastSgemmWithTempBuffer(
        CLBlastLayoutRowMajor, CLBlastTransposeNo, transpose(p->transpose_b), (size_t)p->m,
        (size_t)p->n, (size_t)p->k, p->alpha, p->a.place.memory, first_of(&p->a),
        (size_t)p->a.row_stride, p->b.place.memory, first_of(&p->b), (size_t)p->b.row_stride,
        p->beta, p->c.place.memory, first_of(&p->c), (size_t)p->c.row_stride, &device->queue, NULL,
        device->padded);
}

static CLBlastStatusCode multiply(gpu_device *device, const gpu_product *p) {
    return p->batch == 1 ? multiply_one(device, p) : multiply_batch(device, p);
}

/* ---- making ready ---- */

/* Twice a 1 x 1 matrix: all of the library's kernels for such products are compiled by it. */
static CLBlastStatusCode try_product(gpu_device *device, bool batched) {
    cl_int error;
    float ones[6] = {1, 1, 1, 1, 1, 1};
    cl_mem memory = clCreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                   sizeof ones, ones, &error);
    if (error != CL_SUCCESS)
        return CLBlastTempBufferAllocFailure;
    gpu_product p = {
        .m = 1,
        .n = 1,
        .k = 1,
        .batch = batched ? 2 : 1,
        .a = {{memory, 0}, SF_F32, 1, 1},
        .b = {{memory, 2 * sizeof(float)}, SF_F32, 1, 1},
        .c = {{memory, 4 * sizeof(float)}, SF_F32, 1, 1},
        .alpha = 1,
    };
    CLBlastStatusCode code = multiply(device, &p);
    if (code == CLBlastSuccess)
        code = (CLBlastStatusCode)clFinish(device->queue);
    clReleaseMemObject(memory);
    return code;
}

static sf_status make_ready(gpu_device *device, bool batched) {
    opencl_library *library = &device->library[batched];
    const sf_host *host = device->host;
    if (*library != OPENCL_LIBRARY_UNTRIED)
        return SF_OK;
    if (!device->told_of_warming)
        host->log(host, SF_LOG_INFO, "CLBlast compiles for %s at its first product: some seconds",
                  device->name);
    device->told_of_warming = true;
    CLBlastStatusCode code = try_product(device, batched);
    *library = code == CLBlastSuccess ? OPENCL_LIBRARY_READY : OPENCL_LIBRARY_FAILED;
    if (code == CLBlastSuccess)
        return SF_OK;
    host->log(host, SF_LOG_WARNING, "%s goes without CLBlast: %s (%d)", device->name,
              error_text(code), (int)code);
    return SF_ERROR_UNSUPPORTED;
}

/* For a product whose matrices lie unluckily: where they will lie is not known yet. */
static void set_memory_aside(gpu_device *device, const gpu_product *p) {
    size_t bytes = 0;
    cl_int error;
    CLBlastStatusCode code = CLBlastSGemmTempBufferSize(
        CLBlastLayoutRowMajor, CLBlastTransposeNo, transpose(p->transpose_b), (size_t)p->m,
        (size_t)p->n, (size_t)p->k, 1, (size_t)p->a.row_stride, 1, (size_t)p->b.row_stride, 1,
        (size_t)p->c.row_stride, &device->queue, &bytes);
    if (code != CLBlastSuccess || bytes <= device->padded_bytes)
        return;
    cl_mem memory = clCreateBuffer(device->context, CL_MEM_READ_WRITE, bytes, NULL, &error);
    if (error != CL_SUCCESS)
        return; /* the library then asks for it itself, and fails if there is none */
    if (device->padded)
        clReleaseMemObject(device->padded);
    device->padded = memory;
    device->padded_bytes = bytes;
}

sf_status gpu_driver_warm(gpu_device *device, const gpu_product *product) {
    sf_status status = make_ready(device, product->batch > 1);
    if (status == SF_OK && product->batch == 1)
        set_memory_aside(device, product);
    return status;
}

/* ---- the driver's functions ---- */

uint64_t gpu_driver_library_bytes(const gpu_device *device) {
    return device->padded_bytes;
}

uint64_t opencl_least_product(void) {
    const char *wanted = secure_getenv("SFUMATO_OPENCL_BLAS");
    if (wanted && strcmp(wanted, "never") == 0)
        return UINT64_MAX;
    return wanted && strcmp(wanted, "always") == 0 ? 0 : GPU_LEAST_PRODUCT;
}

void opencl_close_library(gpu_device *device) {
    bool used = device->told_of_warming;
    if (device->padded)
        clReleaseMemObject(device->padded);
    device->padded = NULL;
    if (used)
        CLBlastClearCache(); /* what it compiled keeps the context alive */
}

/* The library counts elements from the buffer's start in 32 bits with a sign. */
static bool can_reach(const gpu_matrix *matrix, int64_t n_rows, int64_t row, int64_t batch) {
    int64_t last = (n_rows - 1) * matrix->row_stride + (batch - 1) * matrix->batch_stride + row - 1;
    return matrix->place.offset / sizeof(float) <= INT32_MAX &&
           last <= INT32_MAX - (int64_t)(matrix->place.offset / sizeof(float));
}

bool gpu_driver_multiplies(const gpu_device *device, const gpu_product *product) {
    if (device && device->library[product->batch > 1] == OPENCL_LIBRARY_FAILED)
        return false;
    int64_t m = product->m, n = product->n, k = product->k, batch = product->batch;
    return product->a.dtype == SF_F32 && product->b.dtype == SF_F32 && product->c.dtype == SF_F32 &&
           can_reach(&product->a, m, k, batch) && can_reach(&product->c, m, n, batch) &&
           can_reach(&product->b, product->transpose_b ? n : k, product->transpose_b ? k : n,
                     batch);
}

sf_status gpu_driver_multiply(gpu_device *device, const gpu_product *product) {
    CLBlastStatusCode code = multiply(device, product);
    if (code == CLBlastSuccess)
        return SF_OK;
    return device->host->fail(
        device->host, SF_ERROR_BACKEND, "CLBlast, %lld products of %lld x %lld x %lld: %s (%d)",
        (long long)product->batch, (long long)product->m, (long long)product->n,
        (long long)product->k, error_text(code), (int)code);
}
