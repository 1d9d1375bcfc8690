/*
 * A convolution and the ways to compute it. conv2d.c chooses.
 */
#ifndef SF_BACKENDS_CPU_CONVOLUTION_H
#define SF_BACKENDS_CPU_CONVOLUTION_H

#include "backends/cpu/cpu.h"

/* Sizes by the letters of core/ops/conv2d.c; OH, OW are those of the output. */
typedef struct cpu_convolution {
    int64_t N, H, W, C, O, KH, KW, OH, OW;
    sf_conv2d_attributes a;
    cpu_matrix x;      /* a row is a pixel */
    cpu_matrix weight; /* [O, C/groups KH KW] */
    cpu_epilogue epilogue;
} cpu_convolution;

/* Winograd: 3x3, stride 1, one group. workspace in bytes; pure. */
bool cpu_winograd_applies(const cpu_convolution *c);
uint64_t cpu_winograd_workspace(const cpu_convolution *c);
void cpu_winograd_run(cpu_backend *backend, const cpu_convolution *c, void *workspace);

/* As a matrix product with the pixels under the kernel as rows ("implicit GEMM"). */
bool cpu_gathered_applies(const cpu_convolution *c);
void cpu_gathered_run(cpu_backend *backend, const cpu_convolution *c);

#endif
