/*
 * Uploads beside the runs (sf_plugin.start_upload): a stream of their own, with events between it and
 * the main one. The driver copies from ordinary memory only while the host waits, so what is uploaded
 * goes through page-locked memory of each slot first.
 */
#include <string.h>

#include "backends/gpu/cuda/device.h"

static CUresult open_uploads(gpu_device *device) {
    const cuda_driver *driver = &device->driver;
    CUresult result = CUDA_SUCCESS;
    if (device->uploads)
        return CUDA_SUCCESS;
    if (!device->reached)
        result = driver->cuEventCreate(&device->reached, CU_EVENT_DISABLE_TIMING);
    for (int i = 0; i < GPU_N_SLOTS && result == CUDA_SUCCESS; i++)
        if (!device->slots[i].uploaded)
            result = driver->cuEventCreate(&device->slots[i].uploaded, CU_EVENT_DISABLE_TIMING);
    if (result == CUDA_SUCCESS)
        result = driver->cuStreamCreate(&device->uploads, CU_STREAM_NON_BLOCKING);
    return result;
}

/*
 * Room for `bytes` more: what was uploaded from the slot's memory before has to be through. A slot that
 * is too small is made anew with room for all that was asked for since it was awaited, so that after a
 * few runs all of a step's uploads fit and nothing is allocated any more.
 */
static CUresult make_room(gpu_device *device, cuda_slot *slot, size_t bytes) {
    const cuda_driver *driver = &device->driver;
    CUresult result = CUDA_SUCCESS;
    size_t wanted = slot->used + bytes;
    if (slot->used == 0 && slot->is_pending)
        result = driver->cuEventSynchronize(slot->uploaded);
    if (result != CUDA_SUCCESS || bytes <= slot->capacity - slot->used)
        return result;
    result = driver->cuStreamSynchronize(device->uploads);
    if (slot->staging && result == CUDA_SUCCESS)
        result = driver->cuMemFreeHost(slot->staging);
    if (result != CUDA_SUCCESS)
        return result;
    slot->staging = NULL;
    slot->capacity = slot->used = 0;
    result = driver->cuMemAllocHost(&slot->staging, wanted);
    if (result == CUDA_SUCCESS)
        slot->capacity = wanted;
    return result;
}

/* Begins when all that is in the main stream now is done. */
static CUresult enqueue(gpu_device *device, cuda_slot *slot, gpu_place to, const void *source,
                        size_t bytes) {
    const cuda_driver *driver = &device->driver;
    unsigned char *copy = (unsigned char *)slot->staging + slot->used;
    memcpy(copy, source, bytes);
    slot->used += bytes;
    CUresult result = driver->cuEventRecord(device->reached, device->stream);
    if (result == CUDA_SUCCESS)
        result = driver->cuStreamWaitEvent(device->uploads, device->reached, 0);
    if (result == CUDA_SUCCESS)
        result = driver->cuMemcpyHtoDAsync(cuda_address(to), copy, bytes, device->uploads);
    if (result == CUDA_SUCCESS)
        result = driver->cuEventRecord(slot->uploaded, device->uploads);
    slot->is_pending = result == CUDA_SUCCESS;
    return result;
}

sf_status gpu_driver_start_upload(gpu_device *device, uint32_t slot, gpu_place to,
                                  const void *source, uint64_t bytes) {
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    CUresult result = open_uploads(device);
    if (result == CUDA_SUCCESS)
        result = make_room(device, &device->slots[slot], (size_t)bytes);
    if (result == CUDA_SUCCESS)
        result = enqueue(device, &device->slots[slot], to, source, (size_t)bytes);
    cuda_leave(device);
    return cuda_check(device->host, &device->driver, result,
                      "copying to the device beside its work");
}

sf_status gpu_driver_await_upload(gpu_device *device, uint32_t slot) {
    CUresult result = CUDA_SUCCESS;
    if (!device->slots[slot].is_pending)
        return SF_OK;
    sf_status status = cuda_enter(device);
    if (status != SF_OK)
        return status;
    result = device->driver.cuStreamWaitEvent(device->stream, device->slots[slot].uploaded, 0);
    device->slots[slot].used = 0;
    cuda_leave(device);
    return cuda_check(device->host, &device->driver, result, "waiting for a copy to the device");
}

CUresult cuda_finish_uploads(gpu_device *device) {
    return device->uploads ? device->driver.cuStreamSynchronize(device->uploads) : CUDA_SUCCESS;
}

void cuda_close_uploads(gpu_device *device) {
    const cuda_driver *driver = &device->driver;
    cuda_finish_uploads(device);
    for (int i = 0; i < GPU_N_SLOTS; i++) {
        if (device->slots[i].staging)
            driver->cuMemFreeHost(device->slots[i].staging);
        if (device->slots[i].uploaded)
            driver->cuEventDestroy(device->slots[i].uploaded);
    }
    if (device->reached)
        driver->cuEventDestroy(device->reached);
    if (device->uploads)
        driver->cuStreamDestroy(device->uploads);
}
