/*
 * Calling one op of a plugin. See op_call.h.
 */
#include "tests/ops/op_call.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/half.h"
#include "core/rng.h"

extern const sf_plugin sf_plugin_reference;

#define GUARD_BYTES 64
#define GUARD       0xa5

const sf_op_entry *op_entry(const char *op) {
    const sf_op_entry *found = NULL;
    for (uint32_t i = 0; i < sf_plugin_reference.n_ops; i++)
        if (strcmp(sf_plugin_reference.ops[i]->op, op) == 0)
            found = sf_plugin_reference.ops[i];
    ck_assert_msg(found != NULL, "the reference plugin has no %s", op);
    return found;
}

/* ---- guarded memory ---- */

typedef struct block {
    unsigned char *memory;
    size_t bytes; /* between the guards */
    void *pages;  /* NULL, or those that it lies in, which end in one that can't be read */
    size_t pages_bytes;
} block;

static block guarded(size_t bytes, int fill) {
    block b = {.memory = malloc(bytes + 2 * GUARD_BYTES), .bytes = bytes};
    ck_assert_ptr_nonnull(b.memory);
    memset(b.memory, GUARD, bytes + 2 * GUARD_BYTES);
    memset(b.memory + GUARD_BYTES, fill, bytes);
    return b;
}

/* The same without a guard behind it: it ends where memory ends, so that reading past it shows too. */
static block walled(size_t bytes, int fill) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t readable = (bytes + GUARD_BYTES + page - 1) / page * page;
    block b = {.bytes = bytes, .pages_bytes = readable + page};
    b.pages = mmap(NULL, b.pages_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(b.pages, MAP_FAILED);
    ck_assert_int_eq(mprotect((char *)b.pages + readable, page, PROT_NONE), 0);
    b.memory = (unsigned char *)b.pages + readable - bytes - GUARD_BYTES;
    memset(b.memory, GUARD, GUARD_BYTES);
    memset(b.memory + GUARD_BYTES, fill, bytes);
    return b;
}

static void *inside(const block *b) {
    return b->memory + GUARD_BYTES;
}

/* An assertion costs a system call, so there is one for all bytes. */
static void check_and_free(block *b, const char *op, const char *what) {
    bool intact = true;
    for (size_t i = 0; i < GUARD_BYTES; i++)
        intact = intact && b->memory[i] == GUARD &&
                 (b->pages || b->memory[GUARD_BYTES + b->bytes + i] == GUARD);
    ck_assert_msg(intact, "%s wrote outside its %s", op, what);
    if (b->pages)
        munmap(b->pages, b->pages_bytes);
    else
        free(b->memory);
}

/* ---- operands ---- */

sf_spec op_spec_of(const sf_tensor *tensor) {
    sf_spec spec = {.dtype = tensor->dtype, .n_dims = tensor->n_dims};
    memcpy(spec.dims, tensor->dims, sizeof spec.dims);
    return spec;
}

/* Strides of a layout, and the number of elements that it spans. */
static size_t lay_out(const sf_spec *spec, op_layout layout, int64_t *strides) {
    int64_t stride = 1;
    for (int i = 0; i < SF_MAX_DIMS; i++) {
        int axis = layout == OP_REVERSED ? i : SF_MAX_DIMS - 1 - i;
        strides[axis] = stride;
        if (axis < spec->n_dims)
            stride *= spec->dims[axis] + (layout == OP_PADDED);
    }
    return (size_t)stride;
}

static int64_t strided_index(const sf_spec *spec, const int64_t *strides, int64_t i) {
    int64_t index = 0;
    for (int axis = spec->n_dims - 1; axis >= 0; axis--) {
        index += i % spec->dims[axis] * strides[axis];
        i /= spec->dims[axis];
    }
    return index;
}

/* Lays a tensor out in a block of its own, behind one element that is not its. */
static void place(const sf_tensor *tensor, op_layout layout, block *b, sf_tensor_desc *desc) {
    sf_spec spec = op_spec_of(tensor);
    size_t size = (size_t)sf_dtype_get(tensor->dtype)->block_bytes;
    *desc = (sf_tensor_desc){.dtype = (int32_t)spec.dtype, .n_dims = spec.n_dims, .offset = size};
    memcpy(desc->dims, spec.dims, sizeof desc->dims);
    size_t span = lay_out(&spec, layout, desc->strides);
    *b = layout == OP_CONTIGUOUS ? walled((span + 1) * size, 0xff)
                                 : guarded((span + 1) * size, 0xff);
    desc->buffer = inside(b);
    if (layout == OP_CONTIGUOUS) {
        memcpy((char *)inside(b) + size, tensor->data, tensor->bytes);
        return;
    }
    int64_t n = sf_spec_elements(&spec);
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)inside(b) + size * (size_t)(1 + strided_index(&spec, desc->strides, i)),
               (const char *)tensor->data + size * (size_t)i, size);
}

static void check_unchanged(const sf_tensor *tensor, const sf_tensor_desc *desc, const char *op) {
    sf_spec spec = op_spec_of(tensor);
    size_t size = (size_t)sf_dtype_get(tensor->dtype)->block_bytes;
    int64_t n = sf_spec_elements(&spec);
    bool unchanged = true;
    for (int64_t i = 0; i < n; i++)
        unchanged =
            unchanged && memcmp((char *)desc->buffer +
                                    size * (size_t)(1 + strided_index(&spec, desc->strides, i)),
                                (const char *)tensor->data + size * (size_t)i, size) == 0;
    ck_assert_msg(unchanged, "%s wrote into an input", op);
}

/* ---- the call ---- */

static sf_status host_fail(const sf_host *host, sf_status status, const char *format, ...) {
    op_call *call = host->user;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->message, sizeof call->message, format, arguments);
    va_end(arguments);
    return status;
}

static sf_status run_entry(op_call *call, const sf_op_entry *entry, sf_op_call *plain) {
    sf_host host = {.struct_size = sizeof host, .user = call, .fail = host_fail};
    ck_assert_msg(!entry->supports || entry->supports(plain), "%s is not supported", call->op);
    uint64_t bytes = entry->workspace ? entry->workspace(plain) : 0;
    ck_assert_msg(bytes < 1u << 28, "%s wants %llu bytes", call->op, (unsigned long long)bytes);
    block workspace = guarded((size_t)bytes, 0xff);
    plain->workspace_buffer = inside(&workspace);
    plain->workspace_bytes = bytes;
    sf_status status = entry->run(call->backend ? call->backend : &host, plain);
    check_and_free(&workspace, call->op, "workspace");
    return status;
}

sf_status op_call_run(op_call *call, sf_tensor *output) {
    sf_tensor_desc inputs[SF_MAX_INPUTS] = {{0}}, output_desc;
    block blocks[SF_MAX_INPUTS], output_block;
    for (int i = 0; i < call->n_inputs; i++)
        if (call->inputs[i])
            place(call->inputs[i], call->layout, &blocks[i], &inputs[i]);
    place(output, OP_CONTIGUOUS, &output_block, &output_desc);
    memset((char *)output_desc.buffer + output_desc.offset, 0xff, output->bytes);
    if (call->in_place)
        output_desc = inputs[0];
    sf_op_call plain = {.struct_size = sizeof plain,
                        .n_inputs = (uint32_t)call->n_inputs,
                        .op = call->op,
                        .inputs = inputs,
                        .output = &output_desc,
                        .attributes = &call->attributes};
    const sf_op_entry *entry = call->entry ? call->entry : op_entry(call->op);
    sf_status status = run_entry(call, entry, &plain);
    memcpy(output->data, (char *)output_desc.buffer + output_desc.offset, output->bytes);
    for (int i = 0; i < call->n_inputs; i++)
        if (call->inputs[i]) {
            if (i > 0 || !call->in_place)
                check_unchanged(call->inputs[i], &inputs[i], call->op);
            check_and_free(&blocks[i], call->op, "input");
        }
    check_and_free(&output_block, call->op, "output");
    return status;
}

sf_status op_call_infer(sf_context *ctx, const op_call *call, sf_spec *output) {
    sf_spec specs[SF_MAX_INPUTS] = {{0}};
    for (int i = 0; i < call->n_inputs; i++)
        if (call->inputs[i])
            specs[i] = op_spec_of(call->inputs[i]);
    const sf_op *op = sf_op_get(sf_op_find(call->op));
    SF_TRY(op->infer(ctx, specs, call->n_inputs, &call->attributes, output));
    sf_spec_normalize(output);
    return SF_OK;
}

/* ---- tensors ---- */

static void put(sf_tensor *tensor, int64_t i, float value) {
    if (tensor->dtype == SF_F32)
        ((float *)tensor->data)[i] = value;
    else if (tensor->dtype == SF_F16)
        ((uint16_t *)tensor->data)[i] = sf_half_narrow(value);
    else if (tensor->dtype == SF_BF16)
        ((uint16_t *)tensor->data)[i] = sf_bfloat_narrow(value);
    else if (tensor->dtype == SF_I32)
        ((int32_t *)tensor->data)[i] = (int32_t)fminf(fabsf(value) * 2, 4);
    else if (tensor->dtype == SF_I64)
        ((int64_t *)tensor->data)[i] = (int64_t)fminf(fabsf(value) * 2, 4);
    else
        ((uint8_t *)tensor->data)[i] = (uint8_t)fminf(fabsf(value) * 2, 4);
}

sf_tensor *op_tensor(sf_context *ctx, const sf_spec *spec, uint64_t seed) {
    sf_tensor *tensor;
    sf_rng rng;
    ck_ok(ctx, sf_tensor_new(ctx, spec->dtype, spec->n_dims, spec->dims, &tensor));
    sf_rng_seed(&rng, SF_RNG_TORCH, seed);
    for (int64_t i = 0; i < sf_tensor_n_elements(tensor); i++) {
        float value;
        sf_rng_normal(&rng, &value, 1);
        put(tensor, i, value);
    }
    return tensor;
}

sf_tensor *op_tensor_between(sf_context *ctx, const sf_spec *spec, uint64_t seed, double low,
                             double high) {
    sf_tensor *tensor;
    sf_rng rng;
    ck_ok(ctx, sf_tensor_new(ctx, spec->dtype, spec->n_dims, spec->dims, &tensor));
    sf_rng_seed(&rng, SF_RNG_TORCH, seed);
    for (int64_t i = 0; i < sf_tensor_n_elements(tensor); i++) {
        float part;
        sf_rng_uniform(&rng, &part, 1);
        put(tensor, i, (float)(low + (high - low) * (double)part));
    }
    return tensor;
}

sf_tensor *op_compute(sf_context *ctx, op_call *call) {
    sf_spec spec;
    sf_tensor *output;
    ck_ok(ctx, op_call_infer(ctx, call, &spec));
    ck_ok(ctx, sf_tensor_new(ctx, spec.dtype, spec.n_dims, spec.dims, &output));
    sf_status status = op_call_run(call, output);
    ck_assert_msg(status == SF_OK, "%s: %s", call->op, call->message);
    return output;
}

double op_distance(const sf_tensor *a, const sf_tensor *b, double absolute, double relative) {
    int64_t n = sf_tensor_n_elements(b);
    double largest = 1, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double magnitude = fabs(sf_tensor_get(b, i));
        if (isfinite(magnitude) && magnitude > largest)
            largest = magnitude;
    }
    for (int64_t i = 0; i < n; i++) {
        double x = sf_tensor_get(a, i), y = sf_tensor_get(b, i);
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        double distance = fabs(x - y) / (absolute * largest + relative * fabs(y));
        if (!(distance <= worst))
            worst = isnan(distance) ? HUGE_VAL : distance;
    }
    return worst;
}
