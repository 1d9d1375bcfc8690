/*
 * The cpu plugin: all processors, with the vector instructions that they have. What is used where there
 * is no GPU. The ops are in backends/cpu/; those that are not there are the reference's.
 */
#include "backends/cpu/cpu.h"

SF_PLUGIN_EXPORT extern const sf_plugin sf_plugin_cpu;

const sf_plugin sf_plugin_cpu = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .abi_minor = SF_PLUGIN_ABI_MINOR,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .priority = 10,
    .name = "cpu",
    .version = PACKAGE_VERSION,
    .description = "threads and vector instructions, chosen at run time",
    .n_ops = CPU_N_ENTRIES,
    .ops = cpu_entries,
    .probe = cpu_probe,
    .open = cpu_open,
    .close = cpu_close,
    .memory_bytes = cpu_memory_bytes,
};
