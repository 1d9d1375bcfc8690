/*
 * The reference plugin: plain C, one obvious loop nest an op. It defines what each op computes; it is
 * what other backends are compared with, and the one to copy for a new one. The loops are in
 * backends/ref/.
 */
#include <string.h>

#include "backends/ref/ref.h"

SF_PLUGIN_EXPORT extern const sf_plugin sf_plugin_reference;

static sf_status probe(const sf_host *host, int index, sf_device_info *device) {
    (void)host;
    if (index > 0)
        return SF_ERROR_NOT_FOUND;
    strcpy(device->name, "CPU, one thread");
    strcpy(device->types, "f32 f16 bf16");
    return SF_OK;
}

const sf_plugin sf_plugin_reference = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .abi_minor = SF_PLUGIN_ABI_MINOR,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .priority = 0,
    .name = "reference",
    .version = PACKAGE_VERSION,
    .description = "plain C loops: the definition of each op",
    .n_ops = REF_N_ENTRIES,
    .ops = ref_entries,
    .probe = probe,
};
