/*
 * Which instruction set of the cpu plugin is used.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/cpu/isa/kernels.h"
#include "tests/support/support.h"

Suite *suite_backends_cpu_isa(void);

static sf_status keep_message(const sf_host *host, sf_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(host->user, 512, format, arguments);
    va_end(arguments);
    return status;
}

static sf_status choose(const char *wanted, char *message, const cpu_kernels **kernels) {
    sf_host host = {.fail = keep_message, .user = message};
    const char *set = getenv("SFUMATO_CPU_ISA");
    char *kept = set ? strdup(set) : NULL;
    unsetenv("SFUMATO_CPU_ISA");
    if (wanted)
        setenv("SFUMATO_CPU_ISA", wanted, 1);
    sf_status status = cpu_choose_kernels(&host, kernels);
    unsetenv("SFUMATO_CPU_ISA");
    if (kept)
        setenv("SFUMATO_CPU_ISA", kept, 1);
    free(kept);
    return status;
}

static const cpu_kernels *best(void) {
    const cpu_kernels *kernels = NULL;
    for (int i = 0; cpu_usable_kernels(i); i++)
        kernels = cpu_usable_kernels(i);
    return kernels;
}

START_TEST(the_best_one_unless_another_is_named) {
    char message[512] = "";
    const cpu_kernels *kernels = NULL;
    ck_assert_str_eq(cpu_usable_kernels(0)->name, "generic");
    ck_assert_int_eq(choose(NULL, message, &kernels), SF_OK);
    ck_assert_ptr_eq(kernels, best());
    ck_assert_int_eq(choose("", message, &kernels), SF_OK);
    ck_assert_ptr_eq(kernels, best());
    for (int i = 0; cpu_usable_kernels(i); i++) {
        ck_assert_int_eq(choose(cpu_usable_kernels(i)->name, message, &kernels), SF_OK);
        ck_assert_ptr_eq(kernels, cpu_usable_kernels(i));
    }
    ck_assert_str_eq(message, "");
}
END_TEST

/* Each has all kernels, and vectors that the ops can divide their blocks by. */
START_TEST(the_tables_are_whole) {
    for (int i = 0; cpu_usable_kernels(i); i++) {
        const cpu_kernels *kernels = cpu_usable_kernels(i);
        ck_assert_int_gt(kernels->vector, 0);
        ck_assert_int_eq(CPU_WINOGRAD_FILTERS % (kernels->vector * kernels->vectors), 0);
        bool has_bf16 = kernels->multiply_bf16 != NULL;
#define CPU_KERNEL(result, name, arguments)      ck_assert(kernels->name != NULL);
#define CPU_KERNEL_BF16(result, name, arguments) ck_assert((kernels->name != NULL) == has_bf16);
#include "backends/cpu/isa/kernels.def"
#undef CPU_KERNEL
        ck_assert_int_eq(has_bf16, strcmp(kernels->name, "avx512bf16") == 0);
    }
}
END_TEST

START_TEST(what_can_not_be_run_is_refused) {
    static const char *const wanted[] = {"nonsuch", "AVX2", "avx", "generic ", "avx512,generic"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char message[512] = "", start[128];
        const cpu_kernels *kernels = NULL;
        ck_assert_int_eq(choose(wanted[i], message, &kernels), SF_ERROR_ARGUMENT);
        snprintf(start, sizeof start, "SFUMATO_CPU_ISA is \"%s\"; this processor can run: generic",
                 wanted[i]);
        ck_assert_msg(strncmp(message, start, strlen(start)) == 0, "%s", message);
        ck_assert_ptr_nonnull(strstr(message, best()->name));
    }
}
END_TEST

Suite *suite_backends_cpu_isa(void) {
    Suite *suite = suite_create("backends_cpu_isa");
    TCase *tcase = tcase_create("choice");
    tcase_add_test(tcase, the_best_one_unless_another_is_named);
    tcase_add_test(tcase, the_tables_are_whole);
    tcase_add_test(tcase, what_can_not_be_run_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
