/*
 * What the reference loops share: their operands as contiguous f32, scratch memory, and checks of
 * types. Uses nothing of the core but the plugin ABI and core/half.h.
 *
 * An op reads as
 *
 *     ref_scratch scratch = ref_scratch_of(call);
 *     const float *x = ref_load(&scratch, ref_input(call, 0));
 *     float *y = ref_result(&scratch, call->output);
 *     ... the loop nest ...
 *     ref_store(y, call->output);
 *
 * and its workspace() is ref_workspace(), plus what it takes besides.
 */
#ifndef SF_BACKENDS_REF_H
#define SF_BACKENDS_REF_H

#include <stdbool.h>

#include "sfumato_plugin.h"

/* ---- operands ---- */

/* Input i; one of type SF_NONE where it is absent. */
const sf_tensor_desc *ref_input(const sf_op_call *call, uint32_t i);

bool ref_is_present(const sf_tensor_desc *tensor);
bool ref_is_float(int32_t dtype);
bool ref_is_contiguous(const sf_tensor_desc *tensor);
int64_t ref_elements(const sf_tensor_desc *tensor);
int64_t ref_element_bytes(int32_t dtype);
void *ref_address(const sf_tensor_desc *tensor); /* of the first element */

/* The last dimension, and the number of rows that have it as their length; 1 and 1 for a scalar. */
int64_t ref_columns(const sf_tensor_desc *tensor);
int64_t ref_rows(const sf_tensor_desc *tensor);

/* The same tensor with its dimensions in another order; with its leading or unit dimensions
 * repeated. */
sf_tensor_desc ref_permuted(const sf_tensor_desc *tensor, const int *order);
sf_tensor_desc ref_expanded(const sf_tensor_desc *tensor, int n_dims, const int64_t *dims);

/* ---- scratch memory ---- */

typedef struct ref_scratch {
    char *base;
    uint64_t used;
} ref_scratch;

ref_scratch ref_scratch_of(const sf_op_call *call);

/* count * size bytes with padding, at most 2^64 - 1: what ref_take() uses up. */
uint64_t ref_room(int64_t count, uint64_t size);
uint64_t ref_add_bytes(uint64_t a, uint64_t b); /* at most 2^64 - 1 */
void *ref_take(ref_scratch *scratch, int64_t count, uint64_t size);

/* Rooms that ref_load() of every input and ref_result() use up. */
uint64_t ref_workspace(const sf_op_call *call);
uint64_t ref_load_room(const sf_tensor_desc *tensor);

/*
 * The elements of a float tensor as contiguous f32: the tensor's own memory where it is that
 * already, else a copy. NULL for an absent tensor.
 */
const float *ref_load(ref_scratch *scratch, const sf_tensor_desc *tensor);

/* Where to compute the output in f32: its own memory if it is f32. */
float *ref_result(ref_scratch *scratch, const sf_tensor_desc *output);

/* Rounds a result to the output's type, if it is not there already. */
void ref_store(const float *result, const sf_tensor_desc *output);

/* ---- helpers of several ops ---- */

/* supports() of ops whose inputs and output are floats of any types. */
int ref_supports_floats(const sf_op_call *call);

typedef float (*ref_function)(float x);

ref_function ref_unary_function(const char *op); /* NULL: none of that name */

/* values[i] = f(values[i]); SF_ACTIVATION_NONE does nothing. */
void ref_activate(float *values, int64_t n, int32_t activation);

/*
 * c += a b for a [rows, inner], b [inner, columns], c [rows, columns]; strides between rows in
 * elements. c overlaps neither.
 */
void ref_add_product(int64_t rows, int64_t columns, int64_t inner, const float *a, int64_t a_stride,
                     const float *b, int64_t b_stride, float *c, int64_t c_stride);

/* Softmax of a row, in place allowed. */
void ref_softmax_row(const float *x, float *y, int64_t n);

/* Copies elements of any type, without looking at them, to strides (in elements) at target. */
void ref_copy_elements(const sf_tensor_desc *source, char *target, const int64_t *target_strides);

/* Where a resized image's row or column i of out lies between two of in. */
typedef struct ref_position {
    int64_t low, high;
    float weight; /* of high */
} ref_position;

ref_position ref_locate(int32_t mode, int64_t i, int64_t in, int64_t out);

/* ---- the entries ---- */

/* One for every op that is not a view. */
enum {
#define SF_OP(name) REF_##name,
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP
    REF_N_ENTRIES
};

extern const sf_op_entry *const ref_entries[REF_N_ENTRIES];

#endif
