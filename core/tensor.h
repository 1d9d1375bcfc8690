/*
 * Host tensors and named sets of them: what files hold and what the public functions take and give.
 * Tensors inside a plan have no struct of their own: they are graph nodes with a place in a buffer.
 */
#ifndef SF_CORE_TENSOR_H
#define SF_CORE_TENSOR_H

#include "core/context.h"

/* A type's facts; all zero for an unknown type. */
typedef struct sf_dtype_info {
    const char *name;      /* "f16" */
    const char *file_name; /* "F16", as safetensors spells it */
    int64_t block_elements;
    int64_t block_bytes;
} sf_dtype_info;

const sf_dtype_info *sf_dtype_get(sf_dtype dtype);  /* never NULL */
sf_dtype sf_dtype_from_file_name(const char *name); /* SF_NONE: unknown */
bool sf_dtype_is_float(sf_dtype dtype);

struct sf_tensor {
    sf_context *ctx; /* borrowed */
    sf_dtype dtype;
    int n_dims;
    int64_t dims[SF_MAX_DIMS]; /* 1 past n_dims */
    void *data;                /* owned if owns_data, else borrowed (a mapping) and read-only */
    size_t bytes;
    bool owns_data;
};

/*
 * The number of elements and of bytes of a shape; fails with a message that names `what` where a
 * dimension is negative, n_dims is out of range, a product overflows or a row is not whole blocks.
 */
sf_status sf_shape_size(sf_context *ctx, const char *what, sf_dtype dtype, int n_dims,
                        const int64_t *dims, int64_t *n_elements, size_t *bytes);

/* Bytes that somebody else keeps; a constant may be several such, one after the other. */
typedef struct sf_part {
    const void *data;
    uint64_t bytes;
} sf_part;

/* A tensor over memory that somebody else keeps at least as long. */
sf_status sf_tensor_borrow(sf_context *ctx, sf_dtype dtype, int n_dims, const int64_t *dims,
                           const void *data, sf_tensor **tensor);

/* Writes "[2, 3, 64]" into text (at least SF_SHAPE_TEXT bytes) and returns it. */
#define SF_SHAPE_TEXT 128
const char *sf_shape_text(int n_dims, const int64_t *dims, char *text);

/* Reads element i of a tensor of any plain type as a double. */
double sf_tensor_get(const sf_tensor *tensor, int64_t i);

/* A new f32 tensor with the same values. */
sf_status sf_tensor_to_f32(sf_context *ctx, const sf_tensor *tensor, sf_tensor **converted);

/* half and bfloat16, exactly: to f32 always, from f32 rounded to nearest even. */
float sf_f16_to_f32(uint16_t half);
uint16_t sf_f32_to_f16(float value);
float sf_bf16_to_f32(uint16_t bf16);
uint16_t sf_f32_to_bf16(float value);

/*
 * A set's mapping: release(memory, bytes) runs when the set is freed. Used by file readers whose
 * tensors borrow from a mapped file. Taken over only on success.
 *
 * advise(memory, bytes, wanted), where it is not NULL, tells the system that a part of the mapping
 * will be read soon (wanted) or not for a while, so that its pages may go from the process' memory.
 * They come back when they are read.
 */
sf_status sf_tensors_adopt_mapping(sf_tensors *tensors, void *memory, size_t bytes,
                                   void (*release)(void *memory, size_t bytes),
                                   void (*advise)(void *memory, size_t bytes, bool wanted));

/* Lets all pages of the set's mappings go. NULL: nothing. */
void sf_tensors_release_pages(const sf_tensors *tensors);

/*
 * Whether data lies in a mapping that takes advice, and such advice for it. Going, the pages around
 * it go too, as far as the system may have brought them together with its own
 * (SF_PAGES_AROUND bytes on either side at most).
 */
bool sf_tensors_is_mapped(const sf_tensors *tensors, const void *data, size_t bytes);
void sf_tensors_advise(const sf_tensors *tensors, const void *data, size_t bytes, bool wanted);

#define SF_PAGES_AROUND ((size_t)64 << 10) /* Linux' fault_around_bytes */

/* Metadata: strings by key, NULL if absent. */
const char *sf_tensors_metadata(const sf_tensors *tensors, const char *key);
sf_status sf_tensors_set_metadata(sf_tensors *tensors, const char *key, const char *value);
int sf_tensors_metadata_count(const sf_tensors *tensors);
void sf_tensors_metadata_at(const sf_tensors *tensors, int index, const char **key,
                            const char **value);

/* The position of a name in the set, -1: not there. The context that the set was made with. */
int sf_tensors_position(const sf_tensors *tensors, const char *name);
sf_context *sf_tensors_context(const sf_tensors *tensors);

/*
 * Tensors that a file has but whose element type Sfumato does not know: by name, the type as the
 * file spells it ("F8_E4M3"), NULL for other names. They are no members of the set.
 */
const char *sf_tensors_skipped(const sf_tensors *tensors, const char *name);
sf_status sf_tensors_add_skipped(sf_tensors *tensors, const char *name, const char *type);

#endif
