/*
 * The plugin ABI: what a shared object offers so that Sfumato can compute with it.
 *
 * A plugin is one file NAME.so in a plugin folder. It exports one symbol, `sf_plugin_NAME`, a
 * constant sf_plugin. The library reads that constant, checks it, and only then calls into it. The
 * plugin uses no symbol of the library: what it needs of its host is in the sf_host that it is
 * handed.
 *
 * Versions. ABI_MAJOR changes when an old plugin can't work; ABI_MINOR when members were added.
 * Every struct here only grows at its end and starts with its size as its maker knew it: members
 * past the smaller of the two sizes count as absent (zero).
 *
 * The least that a plugin needs: magic, versions, struct_size, SF_PLUGIN_HOST_MEMORY, a name and
 * one op entry with run(). What it does not offer runs elsewhere. plugins/template/ is a whole one.
 *
 * Threads: one live backend is used by one thread at a time; several may be open at once.
 */
#ifndef SFUMATO_PLUGIN_H
#define SFUMATO_PLUGIN_H

#include "sfumato.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SF_PLUGIN_MAGIC     0x4f4d4653u /* "SFMO" in a little-endian file */
#define SF_PLUGIN_ABI_MAJOR 1
#define SF_PLUGIN_ABI_MINOR 3

#if defined(_WIN32)
#define SF_PLUGIN_EXPORT __declspec(dllexport)
#else
#define SF_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

/* ------------------------------------------------------------------------------------------------
 * What the plugin is handed
 * --------------------------------------------------------------------------------------------- */

/* The host's services. Lives as long as the backend. */
typedef struct sf_host sf_host;
struct sf_host {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor; /* of the library */
    void *user;                    /* the host's own; not for the plugin */

    /* Tells the user something. */
    void (*log)(const sf_host *host, sf_log_level level, const char *format, ...);

    /* Sets the message of a failure and returns status: `return host->fail(host, SF_ERROR_...,
     * ...)`. */
    sf_status (*fail)(const sf_host *host, sf_status status, const char *format, ...);

    /* realloc: block NULL allocates, bytes 0 frees. NULL: no memory (the message is set already).
     */
    void *(*resize)(const sf_host *host, void *block, size_t bytes);
};

/*
 * A tensor as a plugin sees it. Element [i0, i1, ...] is at byte
 * offset + dtype's size * (i0*strides[0] + i1*strides[1] + ...) of buffer. Images are N,H,W,C,
 * tokens B,T,D. An absent optional input has dtype SF_NONE.
 */
typedef struct sf_tensor_desc {
    void *buffer;    /* from buffer_new(), or any host address with SF_PLUGIN_HOST_MEMORY */
    uint64_t offset; /* bytes */
    int32_t dtype;   /* sf_dtype */
    int32_t n_dims;
    int64_t dims[SF_MAX_DIMS];    /* 1 past n_dims */
    int64_t strides[SF_MAX_DIMS]; /* elements; 0 repeats a dimension */
    uint32_t flags;               /* SF_TENSOR_... */
} sf_tensor_desc;

#define SF_TENSOR_CONSTANT 1u /* a weight: the same bytes in every run of the plan */

/* One op with its operands. */
typedef struct sf_op_call {
    uint32_t struct_size;
    uint32_t n_inputs;
    const char *op;
    const sf_tensor_desc *inputs; /* n_inputs */
    const sf_tensor_desc *output; /* contiguous */
    const void *attributes;       /* the op's sf_NAME_attributes, NULL where it has none */

    /* Scratch memory of the size that workspace() asked for, in a buffer of the backend. */
    void *workspace_buffer;
    uint64_t workspace_offset;
    uint64_t workspace_bytes;

    void *prepared; /* what prepare() made */
} sf_op_call;

/* ------------------------------------------------------------------------------------------------
 * What the plugin offers
 * --------------------------------------------------------------------------------------------- */

/* What one run() of a call takes, for plans of time. */
typedef struct sf_op_cost {
    uint32_t struct_size;
    uint32_t n_launches; /* kernels and calls of a library */
    uint64_t n_bytes;    /* read and written in device memory */

    /*
     * Since 1.3. The type (sf_dtype) whose peak bounds the arithmetic: that of the factors which matrix
     * units multiply, or SF_F32 where the device computes in f32 whatever the tensors' types. Comes as
     * the output's type.
     */
    int32_t compute_dtype;
} sf_op_cost;

/* One op. */
typedef struct sf_op_entry {
    uint32_t struct_size;
    const char *op; /* the op's name in the list of ops */

    /*
     * Whether run() can do this call: types, shapes, strides, attributes. Pure; buffers are not set
     * yet. NULL: every call.
     */
    int (*supports)(const sf_op_call *call);

    /* Bytes of scratch memory that run() wants for this call. Pure. NULL: none. */
    uint64_t (*workspace)(const sf_op_call *call);

    /*
     * Called once when a plan is made, with the buffers of SF_TENSOR_CONSTANT inputs set: packs
     * weights, chooses an algorithm. release() undoes it. NULL: nothing to prepare.
     */
    sf_status (*prepare)(void *backend, const sf_op_call *call, void **prepared);
    void (*release)(void *backend, void *prepared);

    /*
     * Computes the output. May return before it is done: calls on one backend take effect in order.
     * Must not allocate. The output overlaps no input, except that elementwise ops (flagged so in
     * the list of ops) may be given an output that is exactly one of their inputs, and other ops one
     * that is exactly an input which in_place allows.
     */
    sf_status (*run)(void *backend, const sf_op_call *call);

    /*
     * Since 1.1. Bit i: the output may be exactly input i, where that has the output's type and
     * shape and is contiguous. It may still be memory of its own. SF_IN_PLACE(i) is such a bit.
     */
    uint32_t in_place;

    /*
     * Since 1.2. What run() takes, as far as types and shapes tell. Pure. NULL: one launch that reads
     * the inputs and writes the output.
     */
    sf_status (*cost)(const sf_op_call *call, sf_op_cost *cost);
} sf_op_entry;

#define SF_IN_PLACE(input) (1u << (input))

/* One device that a plugin can open. */
typedef struct sf_device_info {
    uint32_t struct_size;
    char name[128];        /* what the device calls itself */
    char types[64];        /* "f32 f16": types that it computes with */
    uint64_t memory_bytes; /* 0: not known */

    /*
     * Since 1.2. For "auto": a smaller number to take instead of the plugin's priority, because this
     * device is worse than those that the plugin is made for. 0: the plugin's.
     */
    int32_t priority;
} sf_device_info;

/* What an open backend did so far. */
typedef struct sf_backend_counters {
    uint32_t struct_size;
    uint64_t n_launches;         /* kernels and calls of a library */
    uint64_t n_products;         /* of these, calls of a library */
    uint64_t n_synchronizations; /* times that the host waited for the device */
    uint64_t n_allocations;      /* of device memory */
    uint64_t n_builds;           /* files of kernels that were compiled */
    uint64_t bytes_uploaded, bytes_downloaded;
} sf_backend_counters;

#define SF_PLUGIN_HOST_MEMORY                                                                      \
    1u /* buffers are host addresses; any host address may be used as one */

typedef struct sf_plugin {
    uint32_t magic; /* SF_PLUGIN_MAGIC */
    uint16_t abi_major, abi_minor;
    uint32_t struct_size;
    uint32_t flags;
    int32_t priority; /* "auto" takes the usable plugin with the largest */
    uint32_t n_ops;
    const char *name;        /* as in the file's name */
    const char *version;     /* of the plugin */
    const char *description; /* one line */
    const sf_op_entry *const *ops;

    /*
     * Describes device `index` (0, 1, ...). SF_ERROR_NOT_FOUND past the last one; another status
     * means that the plugin can't be used, and host->fail() said why. NULL: one device, always
     * there.
     */
    sf_status (*probe)(const sf_host *host, int index, sf_device_info *device);

    /* Opens a device. NULL: nothing to open, `backend` is then the host. */
    sf_status (*open)(const sf_host *host, int index, void **backend);
    void (*close)(void *backend);

    /*
     * Device memory, aligned to 256 bytes, not zeroed. NULL with SF_PLUGIN_HOST_MEMORY: the host's
     * own. Copies of bytes between host and buffer are ordered with runs; when they return, the
     * host's side may be used again.
     */
    sf_status (*buffer_new)(void *backend, uint64_t bytes, void **buffer);
    void (*buffer_free)(void *backend, void *buffer);
    sf_status (*upload)(void *backend, void *buffer, uint64_t offset, const void *source,
                        uint64_t bytes);
    sf_status (*download)(void *backend, void *destination, void *buffer, uint64_t offset,
                          uint64_t bytes);

    /* Waits until all that was asked for is done. NULL: always done. */
    sf_status (*synchronize)(void *backend);

    /*
     * Since 1.1. Host memory in bytes that the open backend takes at most for itself, beside buffers
     * and workspaces: stacks of its threads, what it packs into. For plans of memory. NULL: none.
     */
    uint64_t (*memory_bytes)(void *backend);

    /* Since 1.2. Fills in what counters->struct_size has room for. NULL: nothing is counted. */
    void (*read_counters)(void *backend, sf_backend_counters *counters);

    /*
     * Since 1.2, both or none. Uploads beside the runs, for weights that do not stay in device memory.
     * start_upload() begins when all runs that were asked for so far are done, and holds up none that is
     * asked for later; the source stays as it is until the backend is next synchronized. await_upload():
     * what is asked for from now on waits for all uploads of the slot, 0 or 1.
     */
    sf_status (*start_upload)(void *backend, uint32_t slot, void *buffer, uint64_t offset,
                              const void *source, uint64_t bytes);
    sf_status (*await_upload)(void *backend, uint32_t slot);

    /*
     * Since 1.3. Device memory in bytes that the open backend takes at most for itself, beside buffers:
     * what its libraries work in. For plans of memory. NULL: none.
     */
    uint64_t (*device_memory_bytes)(void *backend);
} sf_plugin;

/* ------------------------------------------------------------------------------------------------
 * Attributes of the ops. core/ops/NAME.c has each op's formula and shapes.
 * --------------------------------------------------------------------------------------------- */

/* Functions of one number; the unary op of the same name computes the same. */
#define SF_ACTIVATION_LIST(X)                                                                      \
    X(SILU, 1, silu)                                                                               \
    X(GELU, 2, gelu)                                                                               \
    X(GELU_TANH, 3, gelu_tanh)                                                                     \
    X(QUICK_GELU, 4, quick_gelu)                                                                   \
    X(RELU, 5, relu)                                                                               \
    X(MISH, 6, mish)

typedef enum sf_activation {
    SF_ACTIVATION_NONE = 0,
#define SF_ACTIVATION_ENUM(name, value, op) SF_ACTIVATION_##name = value,
    SF_ACTIVATION_LIST(SF_ACTIVATION_ENUM)
#undef SF_ACTIVATION_ENUM
} sf_activation;

/* conv2d: sizes in pixels, [0] along height and [1] along width. */
typedef struct sf_conv2d_attributes {
    int32_t stride[2];
    int32_t dilation[2];
    int32_t padding[4]; /* top, bottom, left, right; zeros */
    int32_t groups;
    int32_t activation; /* sf_activation, before the residual is added */
} sf_conv2d_attributes;

/* avg_pool2d */
typedef struct sf_pool2d_attributes {
    int32_t kernel[2];
    int32_t stride[2];
} sf_pool2d_attributes;

/* linear */
typedef struct sf_linear_attributes {
    int32_t activation; /* before the residual is added */
} sf_linear_attributes;

/* matmul */
typedef struct sf_matmul_attributes {
    float scale;
    int32_t transpose_b; /* 1: b is [..., N, K] */
} sf_matmul_attributes;

/* attention */
typedef struct sf_attention_attributes {
    int32_t n_heads;
    int32_t causal; /* 1: query i sees keys 0..i */
    float scale;    /* of the scores; 1/sqrt(head size) in most models */
} sf_attention_attributes;

/* group_norm, layer_norm, rms_norm (groups is unused in the last two) */
typedef struct sf_norm_attributes {
    int32_t groups;
    int32_t activation;
    float epsilon;
} sf_norm_attributes;

/* concat: axis. sum, mean: the axis that is reduced to 1 (kept). */
typedef struct sf_axis_attributes {
    int32_t axis;
} sf_axis_attributes;

/* clamp: lowest and highest value. affine: y = scale * x + shift. */
typedef struct sf_range_attributes {
    float low, high;
} sf_range_attributes;

typedef struct sf_affine_attributes {
    float scale, shift;
} sf_affine_attributes;

typedef enum sf_resize_mode { SF_RESIZE_NEAREST = 0, SF_RESIZE_BILINEAR = 1 } sf_resize_mode;

/* resize: to height x width. */
typedef struct sf_resize_attributes {
    int32_t height, width;
    int32_t mode; /* sf_resize_mode */
} sf_resize_attributes;

#ifdef __cplusplus
}
#endif

#endif /* SFUMATO_PLUGIN_H */
