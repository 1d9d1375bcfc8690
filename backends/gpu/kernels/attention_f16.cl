/*
 * Attention in f16 by matrix units: attention_halves.h. attention_f16_N is for up to N channels of keys
 * and of values in a head.
 */
#include "backends/gpu/kernels/attention_halves.h"

KERNEL_TWICE(attention_f16_48)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                               gpu_attention_arguments a) {
    LOCAL uint4 pool[POOL(3, 48, 1)];
    float sums[3 * WARP_SUMS];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 3, 48, PARTS(1), GPU_F16);
}

KERNEL_TWICE(attention_f16_64)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                               gpu_attention_arguments a) {
    LOCAL uint4 pool[POOL(4, 48, 1)];
    float sums[4 * WARP_SUMS];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 4, 48, PARTS(1), GPU_F16);
}

KERNEL_TWICE(attention_f16_80)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                               gpu_attention_arguments a) {
    LOCAL uint4 pool[POOL(5, 32, 2)];
    float sums[5 * WARP_SUMS];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 5, 32, PARTS(2), GPU_F16);
}

KERNEL(attention_f16_128)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                          gpu_attention_arguments a) {
    LOCAL uint4 pool[POOL(8, 64, 1)];
    float sums[8 * WARP_SUMS];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 8, 64, PARTS(1), GPU_F16);
}

KERNEL(attention_f16_160)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                          gpu_attention_arguments a) {
    LOCAL uint4 pool[POOL(10, 32, 2)];
    float sums[10 * WARP_SUMS];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 10, 32, PARTS(2), GPU_F16);
}

KERNEL(attention_f16_256)(INPUT(q), INPUT(k), INPUT(v), INPUT(mask), OUTPUT(y),
                          gpu_attention_arguments a) {
    LOCAL uint4 pool[POOL(16, 32, 1)];
    float sums[16 * WARP_SUMS];
    attend(q + q_offset, k + k_offset, v + v_offset, mask + mask_offset, y + y_offset, a, pool,
           sums, 16, 32, PARTS(1), GPU_F16);
}
