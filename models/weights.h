/*
 * Finding a component's weights in its folder, under the names that diffusers and transformers give
 * them: one safetensors file or a sharded set with an index, in full or as a variant (fp16, bf16).
 */
#ifndef SF_MODELS_WEIGHTS_H
#define SF_MODELS_WEIGHTS_H

#include "core/tensor.h"

/*
 * Opens the weights of `folder`. *file is the path of the file or index; freed with sf_free().
 * Errors list what was looked for, and tell of pickles, which are never executed.
 */
sf_status sf_weights_load(sf_context *ctx, const char *folder, sf_tensors **weights, char **file);

#endif
