/*
 * Which instruction sets this processor has, and which of them is used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef CPU_X86
#include <cpuid.h>
#endif

#include "backends/cpu/isa/kernels.h"

#define CPU_ISA(name) extern const cpu_kernels cpu_kernels_##name;
#include "backends/cpu/isa/isa.def"
#undef CPU_ISA

/* The compiler's run-time library asks CPUID, and XGETBV whether the system saves the registers. */
static bool has_generic(void) {
    return true;
}

#ifdef CPU_X86
/* Not all compilers know the name of this one. */
static bool has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

static bool has_avx512bf16(void) {
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

static const struct {
    const cpu_kernels *kernels;
    bool (*has)(void);
} sets[] = {
#define CPU_ISA(name) {&cpu_kernels_##name, has_##name},
#include "backends/cpu/isa/isa.def"
#undef CPU_ISA
};

#define N_SETS (int)(sizeof sets / sizeof *sets)

const cpu_kernels *cpu_usable_kernels(int index) {
    for (int i = 0; i < N_SETS; i++)
        if (sets[i].has() && index-- == 0)
            return sets[i].kernels;
    return NULL;
}

static const cpu_kernels *find(const char *name) {
    const cpu_kernels *kernels;
    for (int i = 0; (kernels = cpu_usable_kernels(i)); i++)
        if (strcmp(kernels->name, name) == 0)
            return kernels;
    return NULL;
}

static void list_usable(char *text, size_t bytes) {
    const cpu_kernels *kernels;
    size_t used = 0;
    for (int i = 0; (kernels = cpu_usable_kernels(i)) && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "", kernels->name);
}

sf_status cpu_choose_kernels(const sf_host *host, const cpu_kernels **kernels) {
    const char *wanted = getenv("SFUMATO_CPU_ISA");
    char usable[128] = "";
    if (wanted && *wanted) {
        *kernels = find(wanted);
        if (*kernels)
            return SF_OK;
        list_usable(usable, sizeof usable);
        return host->fail(host, SF_ERROR_ARGUMENT,
                          "SFUMATO_CPU_ISA is \"%.40s\"; this processor can run: %s", wanted,
                          usable);
    }
    for (int i = 0; cpu_usable_kernels(i); i++)
        *kernels = cpu_usable_kernels(i);
    return SF_OK;
}
