/*
 * The fat binary that nvcc made of the kernels, as it is, in the plugin's read-only data.
 */
#include "backends/gpu/cuda/device.h"

__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        ".globl cuda_fatbin\n"
        ".hidden cuda_fatbin\n"
        ".type cuda_fatbin, @object\n"
        "cuda_fatbin:\n"
        ".incbin \"" CUDA_FATBIN_FILE "\"\n"
        ".size cuda_fatbin, . - cuda_fatbin\n"
        ".popsection\n");
