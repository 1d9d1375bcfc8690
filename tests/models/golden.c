#include "tests/models/golden.h"

#include <stdlib.h>

#include "core/tensor.h"
#include "tests/support/support.h"

static sf_tensor *copy_tensor(sf_context *ctx, const sf_tensor *tensor) {
    sf_tensor *copy = NULL;
    ck_ok(ctx, sf_tensor_new(ctx, tensor->dtype, tensor->n_dims, tensor->dims, &copy));
    memcpy(copy->data, tensor->data, tensor->bytes);
    return copy;
}

void golden_load(sf_context *ctx, const char *path, struct golden *golden) {
    sf_tensors *file = NULL;
    ck_ok(ctx, sf_tensors_load(ctx, path, &file));
    ck_ok(ctx, sf_tensors_new(ctx, &golden->inputs));
    ck_ok(ctx, sf_tensors_new(ctx, &golden->outputs));
    for (int i = 0; i < sf_tensors_count(file); i++) {
        const char *name = sf_tensors_name(file, i);
        bool in = strncmp(name, "in.", 3) == 0;
        ck_assert(in || strncmp(name, "out.", 4) == 0);
        ck_ok(ctx, sf_tensors_add(in ? golden->inputs : golden->outputs, name + (in ? 3 : 4),
                                  copy_tensor(ctx, sf_tensors_at(file, i))));
    }
    sf_tensors_free(file);
    ck_assert_int_gt(sf_tensors_count(golden->inputs), 0);
    ck_assert_int_gt(sf_tensors_count(golden->outputs), 0);
}

void golden_clear(struct golden *golden) {
    sf_tensors_free(golden->inputs);
    sf_tensors_free(golden->outputs);
}

sf_tensors *golden_with(sf_context *ctx, const sf_tensors *set, const char *name,
                        const sf_tensor *tensor) {
    sf_tensors *made = NULL;
    ck_ok(ctx, sf_tensors_new(ctx, &made));
    for (int i = 0; i < sf_tensors_count(set); i++)
        if (strcmp(sf_tensors_name(set, i), name) != 0)
            ck_ok(ctx, sf_tensors_add(made, sf_tensors_name(set, i),
                                      copy_tensor(ctx, sf_tensors_at(set, i))));
    if (tensor)
        ck_ok(ctx, sf_tensors_add(made, name, copy_tensor(ctx, tensor)));
    return made;
}

sf_tensor *constant_tensor(sf_context *ctx, sf_dtype dtype, int n_dims, const int64_t *dims,
                           double value) {
    sf_tensor *tensor = NULL;
    ck_ok(ctx, sf_tensor_new(ctx, dtype, n_dims, dims, &tensor));
    for (int64_t i = 0; i < sf_tensor_n_elements(tensor); i++)
        switch (dtype) {
        case SF_F32:
            ((float *)tensor->data)[i] = (float)value;
            break;
        case SF_F16:
            ((uint16_t *)tensor->data)[i] = sf_f32_to_f16((float)value);
            break;
        case SF_I32:
            ((int32_t *)tensor->data)[i] = (int32_t)value;
            break;
        case SF_I64:
            ((int64_t *)tensor->data)[i] = (int64_t)value;
            break;
        default:
            ck_abort_msg("no such constant");
        }
    return tensor;
}
