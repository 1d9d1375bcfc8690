/*
 * What the ops of the cpu plugin share: the live backend, its threads, and the kernels of the
 * instruction set in use. Operands are looked at with the helpers of backends/ref/ref.h; an op that
 * has no entry here is the reference's.
 *
 * An op's file says what is supported, splits the work into items and hands them to cpu_parallel();
 * the inner loops are in isa/, one text compiled once per instruction set.
 */
#ifndef SF_BACKENDS_CPU_H
#define SF_BACKENDS_CPU_H

#include "backends/cpu/isa/kernels.h"
#include "backends/cpu/pool.h"
#include "backends/ref/ref.h"

typedef struct cpu_backend {
    const sf_host *host;
    const cpu_kernels *kernels; /* of the instruction set in use */
    cpu_pool *pool;             /* shared by all backends of the process */
    cpu_thread caller;          /* the thread that calls run(): it works too */
} cpu_backend;

sf_status cpu_open(const sf_host *host, int index, void **backend);
void cpu_close(void *backend);
uint64_t cpu_memory_bytes(void *backend);

/* "AMD EPYC, 2 threads, avx512"; fails where SFUMATO_CPU_ISA or SFUMATO_THREADS is no use. */
sf_status cpu_probe(const sf_host *host, int index, sf_device_info *device);

/*
 * Calls task(user, item, thread) for item 0 .. n_items - 1, each once, in any order, on as many
 * threads as are free. Returns when all are done. Items share nothing that changes.
 */
void cpu_parallel(cpu_backend *backend, int64_t n_items, cpu_task task, void *user);

/* Threads that may work on one call, at least 1. */
int cpu_n_threads(const cpu_backend *backend);

static inline int64_t cpu_divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static inline int64_t cpu_smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Where item of n_items begins when n things are dealt out as evenly as possible. */
static inline int64_t cpu_share(int64_t n, int64_t item, int64_t n_items) {
    return n / n_items * item + cpu_smaller(n % n_items, item);
}

/* Whether the elements lie one after another; trivially so where there are none. */
static inline bool cpu_is_plain(const sf_tensor_desc *tensor) {
    return ref_elements(tensor) == 0 || ref_is_contiguous(tensor);
}

/* supports() of ops that take floats of any types, each input plain or absent. */
static inline int cpu_supports_plain_floats(const sf_op_call *call) {
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (ref_is_present(&call->inputs[i]) && !cpu_is_plain(&call->inputs[i]))
            return 0;
    return ref_supports_floats(call);
}

/* A tensor as the kernels see it: address of the first element, type, elements between rows. */
static inline cpu_matrix cpu_matrix_of(const sf_tensor_desc *tensor) {
    return (cpu_matrix){
        .data = ref_address(tensor), .dtype = tensor->dtype, .row_stride = ref_columns(tensor)};
}

/* ---- the entries: those here, and the reference's for the others ---- */

enum {
#define SF_OP(name) CPU_##name,
#define SF_VIEW(name)
#include "core/ops.def"
#undef SF_OP
    CPU_N_ENTRIES
};

extern const sf_op_entry *const cpu_entries[CPU_N_ENTRIES];

#endif
