/*
 * safetensors: 8 bytes of header length (little-endian), a JSON header, the tensors' bytes.
 * Format: https://huggingface.co/docs/safetensors ("Format"); the checks are those of the reference
 * implementation (huggingface/safetensors, tensor.rs) and a few more.
 *
 * The header must be an object of at most 100 MB with unique names; offsets must fit type and shape
 * and cover the data without holes or overlaps. Tensors of a type that the format knows but Sfumato
 * does not (F64, F8_E4M3, BOOL, ...) are checked the same way and left out of the set; their names
 * are kept with their type (sf_tensors_skipped()), so that who needs one can say why it is not
 * there.
 *
 * Tensors borrow from the file's mapping. Where the file does not align one for its type (the
 * format has not always asked for it) it is copied, which is the only case in which loading touches
 * data.
 */
#ifndef SF_CORE_IO_SAFETENSORS_H
#define SF_CORE_IO_SAFETENSORS_H

#include "core/tensor.h"

/*
 * Adds the tensors and metadata of a file's bytes to set. name stands for the file in errors. data
 * must outlive the set. set may be partly filled after a failure.
 */
sf_status sf_safetensors_parse(sf_context *ctx, const char *name, const void *data, size_t size,
                               sf_tensors *set);

/* Maps one file and adds its tensors to set, which keeps the mapping. */
sf_status sf_safetensors_add_file(sf_context *ctx, const char *path, sf_tensors *set);

/* The shards of a "*.index.json", each mapped once. Checks that every shard has what is promised.
 */
sf_status sf_safetensors_add_index(sf_context *ctx, const char *path, sf_tensors *set);

/*
 * As sf_tensors_load(), for callers that want names, types, shapes and metadata alone. It costs the
 * header, whatever the size of the file, since data is mapped and not touched.
 */
sf_status sf_tensors_load_headers(sf_context *ctx, const char *path, sf_tensors **tensors);

#endif
