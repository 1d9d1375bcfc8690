/*
 * Tensors on a backend outside any plan, and single ops on them: what a sampler works with.
 *
 * An op's plan is made at its first use and kept, so that repeated steps allocate nothing.
 */
#ifndef SF_CORE_EAGER_H
#define SF_CORE_EAGER_H

#include "core/plan.h"

/* A contiguous tensor in memory of its own on a backend. */
typedef struct sf_device_tensor {
    sf_backend *backend; /* borrowed */
    sf_spec spec;
    sf_tensor_desc desc; /* desc.buffer is owned */
} sf_device_tensor;

sf_status sf_device_tensor_new(sf_backend *backend, const sf_spec *spec, sf_device_tensor **tensor);
void sf_device_tensor_free(sf_device_tensor *tensor);
/* bytes must be the tensor's. */
sf_status sf_device_tensor_write(sf_device_tensor *tensor, const void *data, size_t bytes);
sf_status sf_device_tensor_read(const sf_device_tensor *tensor, void *data, size_t bytes);

typedef struct sf_eager sf_eager;

/* options: as for plans; copied. */
sf_status sf_eager_new(sf_context *ctx, const sf_plan_options *options, sf_eager **eager);
void sf_eager_free(sf_eager *eager);

/*
 * Runs one op. An absent optional input is NULL. output has the inferred type and shape; for
 * elementwise ops and linear_combination it may be one of the inputs. All are on the backend.
 */
sf_status sf_eager_run(sf_eager *eager, sf_op_id op, const sf_device_tensor *const *inputs,
                       int n_inputs, const sf_attributes *attributes, sf_device_tensor *output);

/* output = sum of coefficients[i] * tensors[i], 1..8 terms; coefficients are rounded to f32 here.
 */
sf_status sf_eager_combine(sf_eager *eager, sf_device_tensor *output, int n_terms,
                           const double *coefficients, const sf_device_tensor *const *tensors);

#endif
