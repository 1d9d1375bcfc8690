/*
 * Two plugins for tests, in one file that is found under both names.
 *
 *   fake   a device whose buffers are handles, not addresses of the data. Every access is checked
 *          against the buffer's size and the bytes around it.
 *   lazy   host memory, but a run only puts the call into a queue. Whoever looks at a result
 *          without waiting for it finds the old bytes.
 *
 * Both compute a few ops in f32 (copy: any type) and lack the rest. fake.h is the tests' side.
 */
#include "tests/plugins/fake.h"

#include <math.h>
#include <string.h>

#include "sfumato_plugin.h"

#define CANARY_BYTES  64
#define CANARY        0xa5
#define BUFFER_MAGIC  UINT64_C(0x62756666657221)
#define MOST_BYTES    (UINT64_C(1) << 30) /* the memory of the device */
#define MOST_QUEUED   64
#define MOST_OPERANDS 9
#define MOST_PENDING  32

static fake_state state = {.workspace = 100};

SF_PLUGIN_EXPORT fake_state *fake_state_get(void);

SF_PLUGIN_EXPORT fake_state *fake_state_get(void) {
    return &state;
}

/* ---- backends, buffers ---- */

struct backend;

typedef struct queued {
    sf_op_call call;
    sf_tensor_desc inputs[MOST_OPERANDS], output;
    float attributes[16];
    void (*compute)(struct backend *b, const sf_op_call *call);
} queued;

/* An upload beside the runs that has not taken place yet. */
typedef struct pending_upload {
    void *handle;
    uint64_t offset, bytes;
    const void *source;
    uint32_t slot;
} pending_upload;

typedef struct backend {
    const sf_host *host;
    pending_upload pending[MOST_PENDING];
    int n_pending;
    int has_host_memory;
    queued queue[MOST_QUEUED];
    int n_queued;
} backend;

typedef struct buffer {
    uint64_t magic;
    uint64_t bytes;
    unsigned char *block; /* canary, data, canary */
} buffer;

static void damage(backend *b, const char *what) {
    state.n_errors++;
    b->host->log(b->host, SF_LOG_ERROR, "fake: %s", what);
}

static int is_whole(const unsigned char *canary) {
    for (int i = 0; i < CANARY_BYTES; i++)
        if (canary[i] != CANARY)
            return 0;
    return 1;
}

/* The bytes start .. start + count - 1 of a buffer, NULL (and counted) if they are not all in it. */
static unsigned char *reach(backend *b, void *handle, uint64_t start, uint64_t count) {
    if (b->has_host_memory)
        return (unsigned char *)handle + start;
    const buffer *at = handle;
    if (!at || at->magic != BUFFER_MAGIC)
        damage(b, "not a buffer");
    else if (start > at->bytes || count > at->bytes - start)
        damage(b, "past the end of a buffer");
    else if (!is_whole(at->block) || !is_whole(at->block + CANARY_BYTES + at->bytes))
        damage(b, "bytes around a buffer were written");
    else
        return at->block + CANARY_BYTES + start;
    return NULL;
}

static sf_status fail_as(const backend *b, fake_failure *how, const char *what) {
    fake_failure failure = *how;
    *how = FAKE_FINE;
    if (failure == FAKE_MESSAGE)
        return b->host->fail(b->host, SF_ERROR_BACKEND, "the fake %s broke", what);
    if (failure == FAKE_SILENT)
        return SF_ERROR_BACKEND;
    return failure == FAKE_ODD_STATUS ? (sf_status)77 : SF_OK;
}

static void drain(backend *b) {
    for (int i = 0; i < b->n_queued; i++)
        b->queue[i].compute(b, &b->queue[i].call);
    b->n_queued = 0;
}

static sf_status buffer_new(void *instance, uint64_t bytes, void **made) {
    backend *b = instance;
    sf_status status = fail_as(b, &state.fail_buffer, "memory");
    if (status != SF_OK)
        return status;
    if (bytes > MOST_BYTES)
        return b->host->fail(b->host, SF_ERROR_MEMORY, "the device has no such memory");
    buffer *at = b->host->resize(b->host, NULL, sizeof *at);
    if (!at)
        return SF_ERROR_MEMORY;
    *at = (buffer){.magic = BUFFER_MAGIC, .bytes = bytes};
    at->block = b->host->resize(b->host, NULL, (size_t)bytes + 2 * CANARY_BYTES);
    if (!at->block) {
        b->host->resize(b->host, at, 0);
        return SF_ERROR_MEMORY;
    }
    memset(at->block, CANARY, (size_t)bytes + 2 * CANARY_BYTES);
    memset(at->block + CANARY_BYTES, 0xff, (size_t)bytes); /* NaN until written */
    state.live_buffers++;
    *made = at;
    return SF_OK;
}

static void buffer_free(void *instance, void *handle) {
    backend *b = instance;
    buffer *at = handle;
    drain(b);
    if (!reach(b, handle, 0, 0))
        return;
    at->magic = 0;
    b->host->resize(b->host, at->block, 0);
    b->host->resize(b->host, at, 0);
    state.live_buffers--;
}

static sf_status upload(void *instance, void *handle, uint64_t offset, const void *source,
                        uint64_t bytes) {
    backend *b = instance;
    sf_status status = fail_as(b, &state.fail_upload, "bus");
    if (status != SF_OK)
        return status;
    drain(b);
    unsigned char *to = reach(b, handle, offset, bytes);
    if (!to)
        return b->host->fail(b->host, SF_ERROR_INTERNAL, "upload out of bounds");
    memcpy(to, source, (size_t)bytes);
    state.n_uploads++;
    state.upload_bytes += bytes;
    return SF_OK;
}

static sf_status download(void *instance, void *destination, void *handle, uint64_t offset,
                          uint64_t bytes) {
    backend *b = instance;
    drain(b);
    const unsigned char *from = reach(b, handle, offset, bytes);
    if (!from)
        return b->host->fail(b->host, SF_ERROR_INTERNAL, "download out of bounds");
    memcpy(destination, from, (size_t)bytes);
    state.n_downloads++;
    state.download_bytes += bytes;
    return SF_OK;
}

/* ---- uploads beside the runs ---- */

static void finish_upload(backend *b, const pending_upload *pending) {
    unsigned char *to = reach(b, pending->handle, pending->offset, pending->bytes);
    if (to)
        memcpy(to, pending->source, (size_t)pending->bytes);
}

/* Those of a slot, or all where slot is not one. */
static void finish_uploads(backend *b, uint32_t slot) {
    int n_left = 0;
    for (int i = 0; i < b->n_pending; i++)
        if (slot > 1 || b->pending[i].slot == slot)
            finish_upload(b, &b->pending[i]);
        else
            b->pending[n_left++] = b->pending[i];
    b->n_pending = n_left;
}

static uint64_t device_memory_bytes(void *instance) {
    (void)instance;
    return state.library_bytes;
}

static sf_status start_upload(void *instance, uint32_t slot, void *handle, uint64_t offset,
                              const void *source, uint64_t bytes) {
    backend *b = instance;
    const pending_upload pending = {handle, offset, bytes, source, slot};
    sf_status status = fail_as(b, &state.fail_upload, "bus");
    if (status != SF_OK)
        return status;
    if (slot > 1 || b->n_pending == MOST_PENDING)
        return b->host->fail(b->host, SF_ERROR_INTERNAL, "slot %u", slot);
    state.n_background_uploads++;
    state.upload_bytes += bytes;
    drain(b);
    if (state.late_uploads)
        b->pending[b->n_pending++] = pending;
    else
        finish_upload(b, &pending);
    return SF_OK;
}

/* What was asked for before does not see the upload. */
static sf_status await_upload(void *instance, uint32_t slot) {
    backend *b = instance;
    drain(b);
    finish_uploads(b, slot);
    return SF_OK;
}

static sf_status synchronize(void *instance) {
    state.n_synchronizes++;
    drain(instance);
    finish_uploads(instance, UINT32_MAX);
    return SF_OK;
}

static sf_status open_as(const sf_host *host, int index, int has_host_memory, void **made) {
    backend *b = host->resize(host, NULL, sizeof *b);
    if (!b)
        return SF_ERROR_MEMORY;
    memset(b, 0, sizeof *b);
    b->host = host;
    b->has_host_memory = has_host_memory;
    host->log(host, SF_LOG_DEBUG, "fake device %d", index);
    state.live_backends++;
    *made = b;
    return SF_OK;
}

static sf_status open_fake(const sf_host *host, int index, void **made) {
    return open_as(host, index, 0, made);
}

static sf_status open_lazy(const sf_host *host, int index, void **made) {
    return open_as(host, index, 1, made);
}

static void close_backend(void *instance) {
    backend *b = instance;
    state.live_backends--;
    b->host->resize(b->host, b, 0);
}

/* Two devices. */
static sf_status probe(const sf_host *host, int index, sf_device_info *device) {
    (void)host;
    if (index >= 2)
        return SF_ERROR_NOT_FOUND;
    memcpy(device->name, "Fake Accelerator", sizeof "Fake Accelerator");
    memcpy(device->types, "f32", sizeof "f32");
    device->memory_bytes = MOST_BYTES;
    return SF_OK;
}

/* ---- operands ---- */

static uint64_t type_bytes(int32_t type) {
    static const uint64_t bytes[] = {
        [SF_F32] = 4, [SF_F16] = 2, [SF_BF16] = 2, [SF_I32] = 4, [SF_I64] = 8, [SF_U8] = 1};
    return type > 0 && type <= SF_U8 ? bytes[type] : 0;
}

/* The operand's first byte, after a check that all of its elements lie in the buffer. */
static unsigned char *operand(backend *b, const sf_tensor_desc *desc) {
    uint64_t last = 0, bytes = type_bytes(desc->dtype);
    for (int axis = 0; axis < SF_MAX_DIMS; axis++) {
        if (desc->dims[axis] == 0)
            return reach(b, desc->buffer, desc->offset, 0);
        last += (uint64_t)((desc->dims[axis] - 1) * desc->strides[axis]);
    }
    return reach(b, desc->buffer, desc->offset, (last + 1) * bytes);
}

static int64_t count(const sf_tensor_desc *desc) {
    int64_t product = 1;
    for (int axis = 0; axis < desc->n_dims; axis++)
        product *= desc->dims[axis];
    return product;
}

/* Where element i of the output is found in an input that is broadcast to it. */
static int64_t locate(const sf_tensor_desc *output, const sf_tensor_desc *input, int64_t i) {
    int64_t at = 0;
    int shift = output->n_dims - input->n_dims;
    for (int axis = output->n_dims - 1; axis >= 0; axis--) {
        int64_t index = i % output->dims[axis];
        i /= output->dims[axis];
        if (axis >= shift && input->dims[axis - shift] != 1)
            at += index * input->strides[axis - shift];
    }
    return at;
}

static int is_contiguous(const sf_tensor_desc *desc) {
    int64_t stride = 1;
    for (int axis = desc->n_dims - 1; axis >= 0; axis--) {
        if (desc->dims[axis] != 1 && desc->strides[axis] != stride)
            return 0;
        stride *= desc->dims[axis];
    }
    return 1;
}

static int all_f32(const sf_op_call *call) {
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (call->inputs[i].dtype != SF_F32 && call->inputs[i].dtype != SF_NONE)
            return 0;
    return call->output->dtype == SF_F32;
}

/* ---- ops ---- */

static void compute_copy(backend *b, const sf_op_call *call) {
    const unsigned char *x = operand(b, &call->inputs[0]);
    unsigned char *y = operand(b, call->output);
    uint64_t bytes = type_bytes(call->output->dtype);
    for (int64_t i = 0; x && y && i < count(call->output); i++)
        memcpy(y + (uint64_t)i * bytes,
               x + (uint64_t)locate(call->output, &call->inputs[0], i) * bytes, (size_t)bytes);
}

static void compute_pair(backend *b, const sf_op_call *call) {
    int multiplies = strcmp(call->op, "multiply") == 0;
    const float *p = (const float *)operand(b, &call->inputs[0]);
    const float *q = (const float *)operand(b, &call->inputs[1]);
    float *y = (float *)operand(b, call->output);
    for (int64_t i = 0; p && q && y && i < count(call->output); i++) {
        float u = p[locate(call->output, &call->inputs[0], i)];
        float v = q[locate(call->output, &call->inputs[1], i)];
        y[i] = multiplies ? u * v : u + v;
    }
}

static void compute_sigmoid(backend *b, const sf_op_call *call) {
    const float *x = (const float *)operand(b, &call->inputs[0]);
    float *y = (float *)operand(b, call->output);
    for (int64_t i = 0; x && y && i < count(call->output); i++)
        y[i] = 1 / (1 + expf(-x[locate(call->output, &call->inputs[0], i)]));
}

static void compute_affine(backend *b, const sf_op_call *call) {
    const sf_affine_attributes *attributes = call->attributes;
    const float *x = (const float *)operand(b, &call->inputs[0]);
    float *y = (float *)operand(b, call->output);
    for (int64_t i = 0; x && y && i < count(call->output); i++)
        y[i] = attributes->scale * x[locate(call->output, &call->inputs[0], i)] + attributes->shift;
}

static void compute_linear(backend *b, const sf_op_call *call) {
    int64_t n_columns = call->inputs[1].dims[0], n_inner = call->inputs[1].dims[1];
    const float *x = (const float *)operand(b, &call->inputs[0]);
    const float *weight = (const float *)operand(b, &call->inputs[1]);
    const float *bias = call->n_inputs > 2 && call->inputs[2].dtype == SF_F32
                            ? (const float *)operand(b, &call->inputs[2])
                            : NULL;
    float *y = (float *)operand(b, call->output);
    unsigned char *scratch = state.workspace ? reach(b, call->workspace_buffer,
                                                     call->workspace_offset, call->workspace_bytes)
                                             : NULL;
    if (scratch)
        memset(scratch, 0xee, (size_t)call->workspace_bytes);
    for (int64_t i = 0; x && weight && y && i < count(call->output); i++) {
        float sum = bias ? bias[i % n_columns] : 0;
        for (int64_t k = 0; k < n_inner; k++)
            sum += x[i / n_columns * n_inner + k] * weight[i % n_columns * n_inner + k];
        y[i] = sum;
    }
}

/* ---- runs ---- */

static sf_status submit(void *instance, const sf_op_call *call,
                        void (*compute)(backend *b, const sf_op_call *call)) {
    backend *b = instance;
    sf_status status = fail_as(b, &state.fail_run, "kernel");
    if (status != SF_OK)
        return status;
    state.n_runs++;
    if (b->n_queued == MOST_QUEUED)
        drain(b);
    queued *q = &b->queue[b->n_queued++];
    *q = (queued){.call = *call, .output = *call->output, .compute = compute};
    memcpy(q->inputs, call->inputs, call->n_inputs * sizeof *q->inputs);
    if (call->attributes)
        memcpy(q->attributes, call->attributes, sizeof(sf_affine_attributes));
    q->call.inputs = q->inputs;
    q->call.output = &q->output;
    q->call.attributes = q->attributes;
    return SF_OK;
}

#define RUN(op, function)                                                                          \
    static sf_status run_##op(void *instance, const sf_op_call *call) {                            \
        return submit(instance, call, function);                                                   \
    }
RUN(copy, compute_copy)
RUN(add, compute_pair)
RUN(multiply, compute_pair)
RUN(sigmoid, compute_sigmoid)
RUN(affine, compute_affine)
RUN(linear, compute_linear)

static int supports_linear(const sf_op_call *call) {
    const sf_linear_attributes *attributes = call->attributes;
    return all_f32(call) && call->n_inputs <= 3 && attributes->activation == SF_ACTIVATION_NONE &&
           is_contiguous(&call->inputs[0]) && is_contiguous(&call->inputs[1]);
}

static uint64_t workspace_linear(const sf_op_call *call) {
    (void)call;
    return state.workspace;
}

static sf_status prepare_linear(void *instance, const sf_op_call *call, void **prepared) {
    backend *b = instance;
    sf_status status = fail_as(b, &state.fail_prepare, "packing");
    if (status != SF_OK)
        return status;
    if ((call->inputs[1].flags & SF_TENSOR_CONSTANT) && !operand(b, &call->inputs[1]))
        return b->host->fail(b->host, SF_ERROR_INTERNAL, "a weight without its bytes");
    *prepared = b->host->resize(b->host, NULL, 16);
    if (!*prepared)
        return SF_ERROR_MEMORY;
    state.live_prepared++;
    return SF_OK;
}

static void release_linear(void *instance, void *prepared) {
    backend *b = instance;
    drain(b);
    b->host->resize(b->host, prepared, 0);
    state.live_prepared--;
}

#define ENTRY(name, condition)                                                                     \
    static const sf_op_entry entry_##name = {                                                      \
        .struct_size = sizeof(sf_op_entry), .op = #name, .supports = condition, .run = run_##name}
ENTRY(copy, NULL);
ENTRY(add, all_f32);
ENTRY(multiply, all_f32);
ENTRY(sigmoid, all_f32);
ENTRY(affine, all_f32);

static const sf_op_entry entry_linear = {
    .struct_size = sizeof(sf_op_entry),
    .op = "linear",
    .supports = supports_linear,
    .workspace = workspace_linear,
    .prepare = prepare_linear,
    .release = release_linear,
    .run = run_linear,
};

static const sf_op_entry *const entries[] = {&entry_copy,    &entry_add,    &entry_multiply,
                                             &entry_sigmoid, &entry_affine, &entry_linear};

#define COMMON                                                                                     \
    .magic = SF_PLUGIN_MAGIC, .abi_major = SF_PLUGIN_ABI_MAJOR, .abi_minor = SF_PLUGIN_ABI_MINOR,  \
    .struct_size = sizeof(sf_plugin), .n_ops = sizeof entries / sizeof *entries, .version = "1.2", \
    .description = "for tests", .ops = entries, .probe = probe, .close = close_backend,            \
    .synchronize = synchronize

SF_PLUGIN_EXPORT extern const sf_plugin sf_plugin_fake, sf_plugin_lazy;

const sf_plugin sf_plugin_fake = {
    COMMON,
    .name = "fake",
    .priority = 50,
    .open = open_fake,
    .buffer_new = buffer_new,
    .buffer_free = buffer_free,
    .upload = upload,
    .download = download,
    .start_upload = start_upload,
    .await_upload = await_upload,
    .device_memory_bytes = device_memory_bytes,
};

const sf_plugin sf_plugin_lazy = {
    COMMON, .name = "lazy", .flags = SF_PLUGIN_HOST_MEMORY, .priority = 40, .open = open_lazy,
};
