/*
 * One op of the reference plugin, or of another, called as a plan would call it, but with inputs that lie
 * in memory in odd ways, and with guards around everything that it may write. Contiguous operands end
 * where memory ends, so that a kernel which reads past them is ended by a signal.
 */
#ifndef SF_TESTS_OPS_OP_CALL_H
#define SF_TESTS_OPS_OP_CALL_H

#include "core/op.h"
#include "core/tensor.h"
#include "tests/support/support.h"

/* How inputs lie in memory; what is between their elements is NaN (all bits set). */
typedef enum op_layout {
    OP_CONTIGUOUS,
    OP_REVERSED, /* dimensions from last to first: nothing but the first one has stride 1 */
    OP_PADDED,   /* each dimension with room for one more */
    OP_N_LAYOUTS
} op_layout;

/* The reference plugin's entry of an op; fails the test if there is none. */
const sf_op_entry *op_entry(const char *op);

/* A call: inputs[i] NULL is absent. message is what the plugin said of a failure. */
typedef struct op_call {
    const char *op;
    const sf_tensor *inputs[SF_MAX_INPUTS];
    int n_inputs;
    sf_attributes attributes;
    op_layout layout;
    const sf_op_entry *entry; /* of another plugin, with its live backend; NULL: the reference's */
    void *backend;
    bool in_place; /* the output is the first input's memory */
    char message[256];
} op_call;

/*
 * Runs it into output, whose type and shape must be right. Fails the test if the plugin does not
 * support the call, or writes past its output or workspace, or into an input.
 */
sf_status op_call_run(op_call *call, sf_tensor *output);

/* The shape that the op's rule gives for these inputs. */
sf_status op_call_infer(sf_context *ctx, const op_call *call, sf_spec *output);

/* A tensor of the spec; filled with normal numbers (integers: 0 .. 4) from a seed. */
sf_tensor *op_tensor(sf_context *ctx, const sf_spec *spec, uint64_t seed);

/* The same, of a float type, uniform between low and high. */
sf_tensor *op_tensor_between(sf_context *ctx, const sf_spec *spec, uint64_t seed, double low,
                             double high);
sf_spec op_spec_of(const sf_tensor *tensor);

/* Runs a call for which all is well, in a tensor of its own. */
sf_tensor *op_compute(sf_context *ctx, op_call *call);

/*
 * The largest |a - b| in units of what is allowed: absolute * (largest |b|, at least 1) + relative *
 * |b|. Equal infinities and two NaN are equal.
 */
double op_distance(const sf_tensor *a, const sf_tensor *b, double absolute, double relative);

#endif
