/*
 * The backends that tests of whole models run on: the reference, and the cpu plugin with each of its
 * instruction sets that this processor has. With SFUMATO_TEST_BACKEND=NAME it is that one alone, which may
 * take ops from others: tests of a plugin run whole suites so.
 */
#ifndef SF_TESTS_SUPPORT_BACKENDS_H
#define SF_TESTS_SUPPORT_BACKENDS_H

#include "backends/cpu/isa/kernels.h"
#include "sfumato.h"

/*
 * cpu_usable_kernels(), but where the environment has SF_TEST_ISA those of that name alone, or the last
 * ones for "widest": for runs under a sanitizer, where all take too long.
 */
const cpu_kernels *test_usable_kernels(int index);

/* They are numbered from 0, which is the reference, to below this. */
int test_n_backends(void);

/* "reference", "cpu avx2" */
const char *test_backend_name(int index);

/*
 * A fresh context on that backend, opened, which logs nothing and takes no op from another one.
 */
sf_context *test_context_on(int index);

/* A line on stdout: which instruction sets the tests run, and which this processor lacks. */
void test_backends_tell(void);

#endif
