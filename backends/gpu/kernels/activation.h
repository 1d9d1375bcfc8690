/*
 * The functions of one number, and the activations among them: core/ops/unary.c has their sources.
 */
#ifndef SF_BACKENDS_GPU_ACTIVATION_H
#define SF_BACKENDS_GPU_ACTIVATION_H

#include "backends/gpu/kernels/dialect.h"

/* The first ones are sf_activation's numbers. */
#define GPU_NONE       0
#define GPU_SILU       1
#define GPU_GELU       2
#define GPU_GELU_TANH  3
#define GPU_QUICK_GELU 4
#define GPU_RELU       5
#define GPU_MISH       6
#define GPU_SIGMOID    7
#define GPU_TANH       8
#define GPU_EXP        9
#define GPU_LOG        10
#define GPU_SQRT       11
#define GPU_SQUARE     12
#define GPU_SIN        13
#define GPU_COS        14

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

FUNCTION float activate(gpu_int function, float x) {
    switch (function) {
    case GPU_SILU:
        return x / (1.0f + f_exp(-x));
    case GPU_GELU: /* (1 + erf z) / 2 = erfc(-z) / 2 keeps its digits where erf is near -1 */
        return 0.5f * x * f_erfc(-0.70710678118654752f * x);
    case GPU_GELU_TANH: /* (1 + tanh u) / 2 = 1 / (1 + exp(-2u)); 1.5957... = 2 sqrt(2/pi) */
        return x / (1.0f + f_exp(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    case GPU_QUICK_GELU:
        return x / (1.0f + f_exp(-1.702f * x));
    case GPU_RELU: /* NaN stays NaN */
        return x < 0.0f ? 0.0f : x;
    case GPU_MISH:
        return x * f_tanh(f_log1p(f_exp(x)));
    case GPU_SIGMOID:
        return 1.0f / (1.0f + f_exp(-x));
    case GPU_TANH:
        return f_tanh(x);
    case GPU_EXP:
        return f_exp(x);
    case GPU_LOG:
        return f_log(x);
    case GPU_SQRT:
        return f_sqrt(x);
    case GPU_SQUARE:
        return x * x;
    case GPU_SIN:
        return f_sin(x);
    case GPU_COS:
        return f_cos(x);
    default:
        return x;
    }
}

#endif
#endif
