/*
 * random_normal: the noise of the Philox generator, drawn on the device.
 */
#include "backends/gpu/kernels/random_normal.h"
#include "backends/gpu/gpu.h"

static int supports(const sf_op_call *call) {
    return ref_entries[REF_random_normal]->supports(call) && gpu_is_countable(call);
}

static sf_status run(void *backend, const sf_op_call *call) {
    const sf_tensor_desc *key = ref_input(call, 0), *y = call->output;
    const gpu_random_normal_arguments a = {
        .n = (uint32_t)ref_elements(y),
        .key_stride = (uint32_t)key->strides[0],
    };
    return gpu_run(backend, GPU_KERNEL_random_normal, gpu_groups_for(backend, a.n), &a, sizeof a, 2,
                   (const gpu_place[]){gpu_place_of(key), gpu_place_of(y)});
}

const sf_op_entry gpu_random_normal = {
    GPU_ENTRY("random_normal"),
    .supports = supports,
    .run = run,
};
