#include "tests/support/backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

static const char *const sets[] = {
#define CPU_ISA(name) #name,
#include "backends/cpu/isa/isa.def"
#undef CPU_ISA
};

#define N_SETS (int)(sizeof sets / sizeof *sets)

const cpu_kernels *test_usable_kernels(int index) {
    const char *wanted = getenv("SF_TEST_ISA");
    const cpu_kernels *found = NULL, *kernels;
    if (!wanted)
        return cpu_usable_kernels(index);
    for (int i = 0; (kernels = cpu_usable_kernels(i)); i++)
        if (strcmp(wanted, "widest") == 0 || strcmp(wanted, kernels->name) == 0)
            found = kernels;
    return index == 0 ? found : NULL;
}

static bool is_usable(const char *set) {
    const cpu_kernels *kernels;
    for (int i = 0; (kernels = test_usable_kernels(i)); i++)
        if (strcmp(kernels->name, set) == 0)
            return true;
    return false;
}

static const char *only_backend(void) {
    return getenv("SFUMATO_TEST_BACKEND");
}

int test_n_backends(void) {
    int n = 1;
    if (only_backend())
        return 1;
    while (test_usable_kernels(n - 1))
        n++;
    return n;
}

const char *test_backend_name(int index) {
    static char name[32];
    if (only_backend())
        return only_backend();
    if (index == 0)
        return "reference";
    snprintf(name, sizeof name, "cpu %s", test_usable_kernels(index - 1)->name);
    return name;
}

static sf_context *open_backend(const char *backend, int strict) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_context_options_init(&options);
    options.log = NULL;
    options.backend = backend;
    options.strict = strict;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    ck_ok(ctx, sf_context_open_backend(ctx));
    return ctx;
}

sf_context *test_context_on(int index) {
    if (only_backend())
        return open_backend(only_backend(), 0);
    if (index == 0)
        return open_backend("reference", 1);
    const char *set = getenv("SFUMATO_CPU_ISA");
    char *kept = set ? strdup(set) : NULL;
    setenv("SFUMATO_CPU_ISA", test_usable_kernels(index - 1)->name, 1);
    sf_context *ctx = open_backend("cpu", 1);
    unsetenv("SFUMATO_CPU_ISA");
    if (kept)
        setenv("SFUMATO_CPU_ISA", kept, 1);
    free(kept);
    return ctx;
}

void test_backends_tell(void) {
    int n_lacking = 0;
    printf("instruction sets of the cpu plugin:");
    for (int i = 0; i < N_SETS; i++)
        if (is_usable(sets[i]))
            printf(" %s", sets[i]);
        else
            n_lacking++;
    printf("; %d not on this processor or left out", n_lacking);
    for (int i = 0; i < N_SETS; i++)
        if (!is_usable(sets[i]))
            printf(" %s", sets[i]);
    printf("\n");
}
