/*
 * The table of this instruction set's kernels.
 */
#include <stddef.h>

#include "backends/cpu/isa/isa.h"
#include "backends/cpu/isa/product.h"
#include "backends/cpu/isa/vector.h"

#define TEXT_(name) #name
#define TEXT(name)  TEXT_(name)

#if VECTOR_BF16
#define BF16_KERNEL(name) CPU_NAME(name)
#else
#define BF16_KERNEL(name) NULL
#endif

const cpu_kernels CPU_NAME(kernels) = {
    .name = TEXT(CPU_ISA),
    .vector = VECTOR,
    .rows = PRODUCT_ROWS,
    .vectors = PRODUCT_VECTORS,
#define CPU_KERNEL(result, name, arguments)      .name = CPU_NAME(name),
#define CPU_KERNEL_BF16(result, name, arguments) .name = BF16_KERNEL(name),
#include "backends/cpu/isa/kernels.def"
#undef CPU_KERNEL
};
