/*
 * The cuda plugin: NVIDIA GPUs. The ops are in backends/gpu/, shared with opencl; what is CUDA's own
 * in backends/gpu/cuda/.
 */
#include "backends/gpu/gpu.h"

SF_PLUGIN_EXPORT extern const sf_plugin sf_plugin_cuda;

const sf_plugin sf_plugin_cuda = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .abi_minor = SF_PLUGIN_ABI_MINOR,
    .struct_size = sizeof(sf_plugin),
    .priority = 30,
    .name = "cuda",
    .version = PACKAGE_VERSION,
    .description = "NVIDIA GPUs, products by cuBLAS",
    .n_ops = GPU_N_ENTRIES,
    .ops = gpu_entries,
    .probe = gpu_driver_probe,
    .open = gpu_open,
    .close = gpu_close,
    .buffer_new = gpu_buffer_new,
    .buffer_free = gpu_buffer_free,
    .upload = gpu_upload,
    .download = gpu_download,
    .synchronize = gpu_synchronize,
    .memory_bytes = gpu_memory_bytes,
    .device_memory_bytes = gpu_device_memory_bytes,
    .read_counters = gpu_read_counters,
    .start_upload = gpu_start_upload,
    .await_upload = gpu_await_upload,
};
