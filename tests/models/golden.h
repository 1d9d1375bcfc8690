/*
 * A golden of make_model_goldens.py: the tensors in.NAME and out.NAME of one file, as two sets.
 */
#ifndef SF_TESTS_MODELS_GOLDEN_H
#define SF_TESTS_MODELS_GOLDEN_H

#include "sfumato.h"

struct golden {
    sf_tensors *inputs, *outputs;
};

void golden_load(sf_context *ctx, const char *path, struct golden *golden);
void golden_clear(struct golden *golden);

/* Puts a copy of a tensor into a set, in place of what is there under that name. */
sf_tensors *golden_with(sf_context *ctx, const sf_tensors *set, const char *name,
                        const sf_tensor *tensor);

/* A tensor of one value everywhere. */
sf_tensor *constant_tensor(sf_context *ctx, sf_dtype dtype, int n_dims, const int64_t *dims,
                           double value);

#endif
