/*
 * Winograd's convolution: transforms around a product of matrices at 36 points. kernels/winograd.cl has
 * the formulas.
 */
#ifndef SF_BACKENDS_GPU_WINOGRAD_HOST_H
#define SF_BACKENDS_GPU_WINOGRAD_HOST_H

#include "backends/gpu/gpu.h"

/* Whether a conv2d can be computed so, and pays. */
bool gpu_winograd_applies(const sf_op_call *call);
uint64_t gpu_winograd_workspace(const sf_op_call *call);
sf_status gpu_winograd_run(gpu_backend *backend, const sf_op_call *call);

#endif
