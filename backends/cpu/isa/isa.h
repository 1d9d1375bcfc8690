/*
 * What the texts of isa/ are compiled with: CPU_ISA is the instruction set's name, and every function
 * that others see is CPU_NAME(function).
 */
#ifndef SF_BACKENDS_CPU_ISA_H
#define SF_BACKENDS_CPU_ISA_H

#include "backends/cpu/isa/kernels.h"

#define CPU_JOIN_(a, b) a##_##b
#define CPU_JOIN(a, b)  CPU_JOIN_(a, b)
#define CPU_NAME(name)  CPU_JOIN(CPU_JOIN(cpu, name), CPU_ISA)

#define CPU_KERNEL(result, name, arguments) result CPU_NAME(name) arguments;
#include "backends/cpu/isa/kernels.def"
#undef CPU_KERNEL

extern const cpu_kernels CPU_NAME(kernels);

#endif
