/*
 * Fuzz target: a safetensors file's bytes. What loads must be readable to the last element.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/io/safetensors.h"
#include "core/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_everything(sf_context *ctx, const sf_tensors *set) {
    for (int i = 0; i < sf_tensors_count(set); i++) {
        const sf_tensor *tensor = sf_tensors_at(set, i);
        sf_tensor *converted;
        if (sf_tensors_find(set, sf_tensors_name(set, i)) != tensor)
            abort();
        if (sf_tensor_to_f32(ctx, tensor, &converted) == SF_OK)
            sf_tensor_free(converted);
    }
    for (int i = 0; i < sf_tensors_metadata_count(set); i++) {
        const char *key, *value;
        sf_tensors_metadata_at(set, i, &key, &value);
        if (strcmp(sf_tensors_metadata(set, key), value) != 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sf_context *ctx;
    sf_tensors *set;
    if (sf_context_new(NULL, &ctx) != SF_OK)
        return 0;
    if (sf_tensors_new(ctx, &set) == SF_OK) {
        sf_status status = sf_safetensors_parse(ctx, "fuzz", data, size, set);
        if (status == SF_OK)
            read_everything(ctx, set);
        else if (!*sf_error_message(ctx))
            abort();
        sf_tensors_free(set);
    }
    sf_context_free(ctx);
    return 0;
}
