/*
 * What the ways to compute a conv2d share.
 */
#ifndef SF_BACKENDS_GPU_CONVOLUTION_HOST_H
#define SF_BACKENDS_GPU_CONVOLUTION_HOST_H

#include "backends/gpu/gpu.h"
#include "backends/gpu/kernels/convolution.h"

gpu_convolution_arguments gpu_convolution_arguments_of(const gpu_backend *backend,
                                                       const sf_op_call *call);

/*
 * 3x3 of half types by matrix units, in one launch: where there are tiles enough for a large device, or so
 * few filters that what would have to be written out is most of the work, or no library.
 */
bool gpu_convolution_halves_is_taken(gpu_backend *backend, const sf_op_call *call);
sf_status gpu_convolution_halves_run(gpu_backend *backend, const sf_op_call *call);

/*
 * Written out as rows and multiplied by the library, which divides long sums of small maps, for products
 * of half types. (Products of f32 are not so much faster there that the writing pays.)
 */
bool gpu_unfold_applies(const sf_op_call *call); /* where the library takes the product */
uint64_t gpu_unfold_workspace(const sf_op_call *call);
/* False where the library does not take it. */
bool gpu_unfold_is_taken(gpu_backend *backend, const sf_op_call *call);
sf_status gpu_unfold_run(gpu_backend *backend, const sf_op_call *call);

#endif
