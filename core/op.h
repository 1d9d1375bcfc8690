/*
 * What an op is: one constant descriptor in core/ops/NAME.c, listed in core/ops.def.
 *
 * The descriptor is the whole truth on an op: names of inputs, attributes, shape rule, the same
 * computation in simpler ops (lower), and the cases on which every backend is compared with
 * `reference`.
 */
#ifndef SF_CORE_OP_H
#define SF_CORE_OP_H

#include "core/context.h"
#include "sfumato_plugin.h"

#define SF_MAX_INPUTS          9 /* linear_combination: coefficients and 8 tensors */
#define SF_MAX_ATTRIBUTE_BYTES 48

typedef enum sf_op_id {
#define SF_OP(name) SF_OP_##name,
#include "core/ops.def"
#undef SF_OP
    SF_OP_COUNT
} sf_op_id;

/* A tensor's type and shape. */
typedef struct sf_spec {
    sf_dtype dtype;
    int n_dims;
    int64_t dims[SF_MAX_DIMS]; /* 1 past n_dims */
} sf_spec;

/* Attributes by value, large enough for every op, zero where unused. */
typedef union sf_attributes {
    unsigned char bytes[SF_MAX_ATTRIBUTE_BYTES];
    sf_conv2d_attributes conv2d;
    sf_pool2d_attributes pool2d;
    sf_linear_attributes linear;
    sf_matmul_attributes matmul;
    sf_attention_attributes attention;
    sf_norm_attributes norm;
    sf_axis_attributes axis;
    sf_range_attributes range;
    sf_affine_attributes affine;
    sf_resize_attributes resize;
    struct { /* cast, random_normal */
        int32_t dtype;
    } type;
    struct { /* reshape, expand: the new dims. permute: output dimension i is input dimension
                dims[i] */
        int64_t n_dims, dims[SF_MAX_DIMS];
    } shape;
    struct { /* slice: count elements of axis from start */
        int64_t axis, start, count;
    } slice;
} sf_attributes;

/* A node of a graph; SF_NO_VALUE stands for an absent optional input and for a failed call. */
typedef int32_t sf_value;
#define SF_NO_VALUE ((sf_value)-1)

typedef struct sf_graph sf_graph;

/* One case for the conformance grid. f32 inputs are also tried as f16 and bf16 (see flags). */
typedef struct sf_op_case {
    sf_spec inputs[SF_MAX_INPUTS]; /* dtype SF_NONE: absent */
    sf_attributes attributes;
    int64_t integer_limit; /* integer inputs are drawn from 0 .. integer_limit - 1 */
    double low, high;      /* floats are drawn from this range; both 0: normal */
} sf_op_case;

typedef enum sf_op_flags {
    SF_OP_VIEW = 1,        /* no kernel: the output looks at the first input's memory */
    SF_OP_ELEMENTWISE = 2, /* the output may be exactly one of the inputs */
    SF_OP_EXACT = 4,       /* moves values: every backend must agree bit for bit */
} sf_op_flags;

typedef struct sf_op {
    const char *name;
    const char *summary;                   /* one line: formula and shapes */
    const char *inputs[SF_MAX_INPUTS + 1]; /* names; NULL ends */
    int n_required;                        /* inputs past these may be absent */
    bool variadic;                         /* the last name stands for one or more inputs */
    unsigned flags;
    size_t attribute_bytes;

    /*
     * The shape rule: checks inputs and attributes and gives the output's type and shape. Messages
     * tell only what is wrong: the graph adds op, node and shapes. Absent inputs have dtype
     * SF_NONE.
     */
    sf_status (*infer)(sf_context *ctx, const sf_spec *inputs, int n_inputs,
                       const sf_attributes *attributes, sf_spec *output);

    /* The same in simpler ops, added to graph; NULL for a primitive. */
    sf_value (*lower)(sf_graph *graph, const sf_value *inputs, int n_inputs,
                      const sf_attributes *attributes);

    /*
     * Floating-point operations of the sums of products as the formula has them, a multiplication
     * and an addition counting as two: what speeds are given in, whatever algorithm runs. Inputs
     * are such as infer() takes, output what it gave. NULL: the op has no such sums and counts as
     * none. See sf_op_flops().
     */
    double (*flops)(const sf_spec *inputs, int n_inputs, const sf_attributes *attributes,
                    const sf_spec *output);

    const sf_op_case *cases;
    int n_cases;
} sf_op;

const sf_op *sf_op_get(sf_op_id id);
sf_op_id sf_op_find(const char *name); /* SF_OP_COUNT: not known */
sf_op_id sf_op_id_of(const sf_op *op);

/* By the op's rule; exact below 2^53. attributes may be NULL where the op has none. */
double sf_op_flops(sf_op_id id, const sf_spec *inputs, int n_inputs,
                   const sf_attributes *attributes, const sf_spec *output);

/* The unary op of an activation, and back; SF_OP_COUNT and SF_ACTIVATION_NONE where there is none.
 */
sf_op_id sf_activation_op(sf_activation activation);
sf_activation sf_op_activation(sf_op_id id);

#define SF_CASES(table) .cases = (table), .n_cases = (int)(sizeof(table) / sizeof((table)[0]))

/* ---- helpers of the shape rules ---- */

#define SF_SPEC(type, ...)                                                                         \
    {                                                                                              \
        .dtype = SF_##type, .n_dims = SF_COUNT_(__VA_ARGS__), .dims = { __VA_ARGS__ }              \
    }
#define SF_COUNT_(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Sets the unused dims to 1. */
void sf_spec_normalize(sf_spec *spec);
bool sf_spec_equal(const sf_spec *a, const sf_spec *b);
bool sf_spec_same_shape(const sf_spec *a, const sf_spec *b);
int64_t sf_spec_elements(const sf_spec *spec);
size_t sf_spec_bytes(const sf_spec *spec);

/* "f32 [2, 3]"; text has SF_SHAPE_TEXT bytes. */
const char *sf_spec_text(const sf_spec *spec, char *text);

/* Fails unless `spec` is a float tensor (f32, f16, bf16); `name` is the input's. */
sf_status sf_need_float(sf_context *ctx, const char *name, const sf_spec *spec);
sf_status sf_need_dims(sf_context *ctx, const char *name, const sf_spec *spec, int n_dims);
sf_status sf_need_dim(sf_context *ctx, const char *name, const sf_spec *spec, int axis,
                      int64_t size);

/* PyTorch's broadcasting of two shapes; fails where they do not fit. dtype is a's. */
sf_status sf_broadcast(sf_context *ctx, const sf_spec *a, const sf_spec *b, sf_spec *output);

#endif
