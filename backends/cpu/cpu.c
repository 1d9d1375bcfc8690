/*
 * The live backend and the table of entries. See cpu.h.
 */
#include "backends/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

#include "backends/cpu/threads.h"

#define STACK_BYTES (UINT64_C(64) << 10)

/* ---- the entries: entries.def names the ops that have one of their own ---- */

#define CPU_OP(name) extern const sf_op_entry cpu_##name;
#include "backends/cpu/entries.def"
#undef CPU_OP

#define SF_OP(name) extern const sf_op_entry ref_##name;
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP

#pragma GCC diagnostic push
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
const sf_op_entry *const cpu_entries[CPU_N_ENTRIES] = {
#define SF_OP(name) [CPU_##name] = &ref_##name,
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP
#define CPU_OP(name) [CPU_##name] = &cpu_##name,
#include "backends/cpu/entries.def"
#undef CPU_OP
};
#pragma GCC diagnostic pop

/* ---- opening ---- */

static char *aligned_scratch(void *block) {
    return (char *)block + (64 - (uintptr_t)block % 64) % 64;
}

sf_status cpu_open(const sf_host *host, int index, void **backend) {
    int n_threads = 1;
    cpu_backend *made = NULL;
    (void)index;
    sf_status status = cpu_count_threads(host, &n_threads);
    if (status != SF_OK)
        return status;
    made = host->resize(host, NULL, sizeof *made + CPU_SCRATCH_BYTES + 64);
    if (!made)
        return SF_ERROR_MEMORY;
    *made = (cpu_backend){.host = host, .caller.scratch = aligned_scratch(made + 1)};
    status = cpu_choose_kernels(host, &made->kernels);
    if (status == SF_OK)
        status = cpu_pool_acquire(host, n_threads, &made->pool);
    if (status == SF_OK)
        *backend = made;
    else
        host->resize(host, made, 0);
    return status;
}

void cpu_close(void *backend) {
    cpu_backend *closed = backend;
    cpu_pool_release(closed->pool);
    closed->host->resize(closed->host, closed, 0);
}

/* ---- telling ---- */

/* The processor's name as the system tells it; "CPU" where it does not. */
static void processor_name(char *name, size_t bytes) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(name, bytes, "CPU");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        snprintf(name, bytes, "%.60s", colon + 1 + strspn(colon + 1, " \t"));
        name[strcspn(name, "\n")] = '\0';
        break;
    }
    if (file)
        fclose(file);
}

sf_status cpu_probe(const sf_host *host, int index, sf_device_info *device) {
    const cpu_kernels *kernels = NULL;
    char processor[64];
    int n_threads = 1;
    if (index > 0)
        return SF_ERROR_NOT_FOUND;
    sf_status status = cpu_count_threads(host, &n_threads);
    if (status == SF_OK)
        status = cpu_choose_kernels(host, &kernels);
    if (status != SF_OK)
        return status;
    processor_name(processor, sizeof processor);
    snprintf(device->name, sizeof device->name, "%s, %d thread%s, %s", processor, n_threads,
             n_threads == 1 ? "" : "s", kernels->name);
    snprintf(device->types, sizeof device->types, "f32 f16 bf16");
    return SF_OK;
}

/* ---- work ---- */

void cpu_parallel(cpu_backend *backend, int64_t n_items, cpu_task task, void *user) {
    cpu_pool_run(backend->pool, &backend->caller, n_items, task, user);
}

/* Scratch of all threads, and as much of their stacks as kernels use. */
uint64_t cpu_memory_bytes(void *backend) {
    return (uint64_t)cpu_n_threads(backend) * (CPU_SCRATCH_BYTES + STACK_BYTES);
}

int cpu_n_threads(const cpu_backend *backend) {
    return cpu_pool_n_threads(backend->pool);
}
