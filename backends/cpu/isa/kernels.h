/*
 * The kernels that exist once per instruction set, as a table of functions. kernels.def lists them
 * with what they compute.
 */
#ifndef SF_BACKENDS_CPU_ISA_KERNELS_H
#define SF_BACKENDS_CPU_ISA_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/cpu/isa/attention.h"
#include "sfumato_plugin.h"

/* A matrix of any float type. */
typedef struct cpu_matrix {
    void *data; /* NULL: absent */
    int32_t dtype;
    int64_t row_stride; /* elements */
} cpu_matrix;

/* What is done with a block of sums before it is written: y = activation(sum + bias) + residual. */
typedef struct cpu_epilogue {
    const float *bias; /* by column; NULL: none */
    int32_t activation;
    cpu_matrix residual; /* as y */
    cpu_matrix y;
} cpu_epilogue;

/*
 * Where Winograd's tiles of m x m outputs come from and go to, m 4 or 6: tile t covers outputs [m (t /
 * across % down) ...][m (t % across) ...] of image t / (across down).
 */
typedef struct cpu_winograd_input {
    int m;
    const void *x; /* [N, H, W, C] */
    int32_t dtype;
    int64_t H, W, C;
    int64_t top, left; /* padding */
    int64_t tiles_down, tiles_across;
    int64_t tile_stride, point_stride; /* of v, in floats */
} cpu_winograd_input;

typedef struct cpu_winograd_output {
    int m;
    int64_t H, W; /* of the output */
    int64_t tiles_down, tiles_across;
    cpu_epilogue epilogue;
} cpu_winograd_output;

/*
 * Floats between points that would follow n floats apart: a line of the cache more than a multiple of
 * 16 lines, lest the same element of all points meets in one set of the first-level cache.
 */
static inline int64_t cpu_winograd_stride(int64_t n) {
    return (n + 255) / 256 * 256 + 16;
}

#define CPU_WINOGRAD_FILTERS 48 /* at most at once: whole panels of every instruction set */
/* One function of one number: the activations by their numbers, then these. */
enum {
    CPU_SIGMOID = 32,
    CPU_TANH,
    CPU_EXP,
    CPU_LOG,
    CPU_SQRT,
    CPU_SQUARE,
    CPU_SIN,
    CPU_COS,
    CPU_AFFINE, /* a x + b */
    CPU_CLAMP   /* to a .. b */
};

/* y[i] = function(x[i]); SF_ACTIVATION_NONE only converts. */
typedef struct cpu_unary {
    int32_t function;
    float a, b;
    cpu_matrix x, y;
} cpu_unary;

enum { CPU_ADD, CPU_SUBTRACT, CPU_MULTIPLY, CPU_DIVIDE };

/* y[i] = activation((x[i] - mean[c]) * scale[c] + shift[c]), c the column. */
typedef struct cpu_normalization {
    cpu_matrix x, y;
    int64_t columns;
    const float *mean, *scale, *shift;
    int32_t activation;
} cpu_normalization;

/* Normalisation of each row by itself: layer_norm; rms_norm where not centred. */
typedef struct cpu_row_norm {
    cpu_matrix x, y;
    int64_t columns;
    const float *scale, *shift; /* NULL: 1, 0 */
    double epsilon;
    int32_t activation;
    bool centred;
} cpu_row_norm;

typedef struct cpu_kernels {
    const char *name;
    int vector; /* floats in a register */
    int rows;   /* rows and vectors of columns that the matrix product computes at once */
    int vectors;
#define CPU_KERNEL(result, name, arguments) result(*name) arguments;
#include "backends/cpu/isa/kernels.def"
#undef CPU_KERNEL
} cpu_kernels;

/* The best instruction set here, or the one that SFUMATO_CPU_ISA names; fails if it can't be had. */
sf_status cpu_choose_kernels(const sf_host *host, const cpu_kernels **kernels);

/* The kernels of index 0, 1, ... in isa.def that this processor can run; NULL past the last. */
const cpu_kernels *cpu_usable_kernels(int index);

#endif
