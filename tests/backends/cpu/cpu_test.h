/*
 * The cpu plugin's live backend, made by hand: with any instruction set of this processor and any
 * number of threads. And a comparison of one of its ops with the reference's.
 */
#ifndef SF_TESTS_BACKENDS_CPU_TEST_H
#define SF_TESTS_BACKENDS_CPU_TEST_H

#include "backends/cpu/cpu.h"
#include "tests/ops/op_call.h"

/* Instruction sets are numbered from 0 to below this; not every processor has all. */
#define CPU_TEST_SETS 8

typedef struct cpu_test {
    sf_host host;
    cpu_backend backend;
    void *scratch;     /* owned */
    char message[256]; /* of a failure */
} cpu_test;

/* False where the processor has no such instruction set; closed with cpu_test_close() if not. */
bool cpu_test_open(cpu_test *test, int set, int n_threads);
void cpu_test_close(cpu_test *test);

/* Runs the call on the backend, into a tensor of its own. */
sf_tensor *cpu_test_compute(cpu_test *test, sf_context *ctx, op_call *call);

/*
 * Fails the test unless the result is the reference's: to `tolerance`, relative to the largest number,
 * in f32; to half types one step of theirs. 0: bit for bit.
 */
void cpu_test_compare(cpu_test *test, sf_context *ctx, op_call *call, double tolerance);

/*
 * Fails the test unless the call gives `wanted` (as cpu_test_compare() has it) with every instruction
 * set, and the same bits on 1, 2, 3 and 7 threads.
 */
void cpu_test_on_all(sf_context *ctx, op_call *call, const sf_tensor *wanted, double tolerance);

/* Fails the test unless the call gives the same bits on 1 to 4 threads of an instruction set, if it is there. */
void cpu_test_on_threads(sf_context *ctx, op_call *call, int set);

/*
 * Where x (input 0) is bf16 and the weight (input 1) f16, instruction sets with dot products of bf16 round
 * the weight to it: gives it numbers that both types have, so that the result is the same everywhere.
 */
void cpu_test_round_weight(op_call *call);

/* The next number of a reproducible sequence, 0 .. n - 1; any seed will do for *state. */
int64_t cpu_test_draw(uint64_t *state, int64_t n);

/* One element of an array. */
#define CPU_TEST_PICK(state, array)                                                                \
    (array)[cpu_test_draw((state), (int64_t)(sizeof(array) / sizeof *(array)))]

/* Frees the inputs of a call. */
void cpu_test_free_inputs(op_call *call);

#endif
