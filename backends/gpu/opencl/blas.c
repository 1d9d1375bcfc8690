/*
 * Products of matrices by CLBlast.
 */
#include "backends/gpu/opencl/opencl.h"

#include <clblast_c.h>

bool gpu_driver_multiplies(const gpu_device *device, const gpu_product *product) {
    int32_t dtype = product->a.dtype;
    bool has_type = dtype == SF_F32 || (dtype == SF_F16 && (!device || device->has_half));
    return has_type && product->b.dtype == dtype && product->c.dtype == dtype &&
           !product->bias.memory;
}

sf_status gpu_driver_warm(gpu_device *device, const gpu_product *product) {
    (void)product;
    if (!device->told_of_warming)
        device->host->log(device->host, SF_LOG_INFO,
                          "CLBlast compiles for %s at its first product: some seconds",
                          device->name);
    device->told_of_warming = true;
    return SF_OK;
}

sf_status gpu_driver_multiply(gpu_device *device, const gpu_product *product) {
    return device->host->fail(device->host, SF_ERROR_UNSUPPORTED, "CLBlast: %lld x %lld x %lld",
                              (long long)product->m, (long long)product->n, (long long)product->k);
}
