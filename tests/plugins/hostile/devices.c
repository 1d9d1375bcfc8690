/*
 * Plugins whose descriptor is right and whose devices are not.
 */
#include <stddef.h>
#include <string.h>

#include "tests/plugins/hostile/hostile.h"

static void close_nothing(void *backend) {
    (void)backend;
}

static sf_status open_fine(const sf_host *host, int index, void **backend) {
    (void)index;
    *backend = (void *)host;
    return SF_OK;
}

/* ---- open() ---- */

static sf_status open_with_message(const sf_host *host, int index, void **backend) {
    (void)backend;
    return host->fail(host, SF_ERROR_BACKEND, "the driver has left, device %d", index);
}

static sf_status open_silently(const sf_host *host, int index, void **backend) {
    (void)host;
    (void)index;
    (void)backend;
    return SF_ERROR_UNSUPPORTED;
}

static sf_status open_with_odd_status(const sf_host *host, int index, void **backend) {
    (void)host;
    (void)index;
    (void)backend;
    return (sf_status)4711;
}

/* A failure that forgets its status is one all the same. */
static sf_status open_failing_fine(const sf_host *host, int index, void **backend) {
    (void)index;
    (void)backend;
    return host->fail(host, SF_OK, "no status for this");
}

HOSTILE(open_message) = {HOSTILE_COMMON(open_message), .open = open_with_message,
                         .close = close_nothing};
HOSTILE(open_silent) = {HOSTILE_COMMON(open_silent), .open = open_silently, .close = close_nothing};
HOSTILE(open_odd) = {HOSTILE_COMMON(open_odd), .open = open_with_odd_status,
                     .close = close_nothing};
HOSTILE(open_confused) = {HOSTILE_COMMON(open_confused), .open = open_failing_fine,
                          .close = close_nothing};

/* ---- probe() ---- */

static sf_status probe_failing(const sf_host *host, int index, sf_device_info *device) {
    (void)device;
    return host->fail(host, SF_ERROR_BACKEND, "probing device %d hurts", index);
}

static sf_status probe_silently(const sf_host *host, int index, sf_device_info *device) {
    (void)host;
    (void)index;
    (void)device;
    return SF_ERROR_IO;
}

static sf_status probe_nothing(const sf_host *host, int index, sf_device_info *device) {
    (void)host;
    (void)index;
    (void)device;
    return SF_ERROR_NOT_FOUND;
}

/* Every index is a device; names and types fill their arrays without a NUL. */
static sf_status probe_everything(const sf_host *host, int index, sf_device_info *device) {
    (void)host;
    (void)index;
    memset(device->name, 'n', sizeof device->name);
    memset(device->types, 't', sizeof device->types);
    return SF_OK;
}

/* Two devices, of which the second is broken. */
static sf_status probe_second_broken(const sf_host *host, int index, sf_device_info *device) {
    if (index == 1)
        return host->fail(host, SF_ERROR_BACKEND, "device 1 is on fire");
    memcpy(device->name, "good one", sizeof "good one");
    return index == 0 ? SF_OK : SF_ERROR_NOT_FOUND;
}

HOSTILE(probe_fails) = {HOSTILE_COMMON(probe_fails), .probe = probe_failing, .open = open_fine,
                        .close = close_nothing};
HOSTILE(probe_silent) = {HOSTILE_COMMON(probe_silent), .probe = probe_silently};
HOSTILE(no_device) = {HOSTILE_COMMON(no_device), .probe = probe_nothing};
HOSTILE(endless) = {HOSTILE_COMMON(endless), .probe = probe_everything};
HOSTILE(half_broken) = {HOSTILE_COMMON(half_broken), .probe = probe_second_broken};

/* A plugin of high priority whose device 0 is worth less, as a processor behind a plugin for GPUs. */
static sf_status probe_modest(const sf_host *host, int index, sf_device_info *device) {
    (void)host;
    memcpy(device->name, "modest one", sizeof "modest one");
    if (device->struct_size >= offsetof(sf_device_info, priority) + sizeof device->priority)
        device->priority = index == 0 ? 5 : 0;
    return index < 2 ? SF_OK : SF_ERROR_NOT_FOUND;
}

HOSTILE(modest) = {HOSTILE_COMMON(modest), .priority = 60, .probe = probe_modest, .open = open_fine,
                   .close = close_nothing};

/* ---- scratch memory that nobody has ---- */

static uint64_t workspace_huge(const sf_op_call *call) {
    (void)call;
    return UINT64_MAX - 3;
}

static const sf_op_entry greedy_relu = {.struct_size = sizeof(sf_op_entry),
                                        .op = "relu",
                                        .workspace = workspace_huge,
                                        .run = hostile_run};
static const sf_op_entry *const greedy_ops[] = {&greedy_relu};

HOSTILE(greedy) = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .name = "greedy",
    .n_ops = 1,
    .ops = greedy_ops,
};

/* ---- a kernel that is wrong ---- */

/* relu with a wrong last element, and one that gives 1 % too much: for the conformance grid. */
static int64_t count(const sf_tensor_desc *desc) {
    int64_t product = 1;
    for (int axis = 0; axis < desc->n_dims; axis++)
        product *= desc->dims[axis];
    return product;
}

static int supports_plain_f32(const sf_op_call *call) {
    int64_t stride = 1;
    for (int axis = call->inputs[0].n_dims - 1; axis >= 0; axis--) {
        if (call->inputs[0].dims[axis] != 1 && call->inputs[0].strides[axis] != stride)
            return 0;
        stride *= call->inputs[0].dims[axis];
    }
    return call->inputs[0].dtype == SF_F32;
}

static void relu(const sf_op_call *call, int64_t n, float scale) {
    const float *x = (const float *)((const char *)call->inputs[0].buffer + call->inputs[0].offset);
    float *y = (float *)((char *)call->output->buffer + call->output->offset);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > 0 ? scale * x[i] : 0;
}

static sf_status run_last(void *backend, const sf_op_call *call) {
    float *y = (float *)((char *)call->output->buffer + call->output->offset);
    (void)backend;
    relu(call, count(call->output), 1);
    y[count(call->output) - 1] += 1;
    return SF_OK;
}

static sf_status run_scaled(void *backend, const sf_op_call *call) {
    (void)backend;
    relu(call, count(call->output), 1.01f);
    return SF_OK;
}

static sf_status run_failing(void *backend, const sf_op_call *call) {
    const sf_host *host = backend;
    return host->fail(host, SF_ERROR_BACKEND, "%s is not for today", call->op);
}

#define WITH_RELU(plugin, function)                                                                \
    static const sf_op_entry relu_of_##plugin = {.struct_size = sizeof(sf_op_entry),               \
                                                 .op = "relu",                                     \
                                                 .supports = supports_plain_f32,                   \
                                                 .run = function};                                 \
    static const sf_op_entry *const ops_of_##plugin[] = {&relu_of_##plugin};                       \
    HOSTILE(plugin) = {                                                                            \
        .magic = SF_PLUGIN_MAGIC,                                                                  \
        .abi_major = SF_PLUGIN_ABI_MAJOR,                                                          \
        .struct_size = sizeof(sf_plugin),                                                          \
        .flags = SF_PLUGIN_HOST_MEMORY,                                                            \
        .name = #plugin,                                                                           \
        .n_ops = 1,                                                                                \
        .ops = ops_of_##plugin,                                                                    \
    }

WITH_RELU(last_relu, run_last);
WITH_RELU(scaled_relu, run_scaled);
WITH_RELU(failing_relu, run_failing);
