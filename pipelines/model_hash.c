/*
 * The hash that names a model: sf_pipeline_model_hash() of sfumato.h. It is taken of the U-Net's
 * weights, which are what a fine-tuned model changes.
 *
 * One weights file: its SHA-256. Shards: that of the list of their hashes, as the shell has it:
 *     sha256sum diffusion_pytorch_model-*-of-*.safetensors | sha256sum
 */
#include <stdlib.h>
#include <string.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "core/name_map.h"
#include "core/sha256.h"
#include "core/text.h"
#include "pipelines/pipeline.h"

static int compare_names(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The shards that the index names, each once. Loading has checked that they are plain names. */
static sf_status list_shards(sf_context *ctx, const char *index_file, sf_name_map *shards) {
    json_t *index = NULL, *shard;
    const char *tensor;
    sf_status status = SF_OK;
    SF_TRY(sf_json_load(ctx, index_file, &index));
    json_object_foreach(json_object_get(index, "weight_map"), tensor, shard) {
        const char *name = json_string_value(shard);
        if (status == SF_OK && name && sf_name_map_find(shards, name) < 0)
            status = sf_name_map_add(shards, name);
    }
    json_decref(index);
    return status;
}

/* "HASH  NAME\n", as sha256sum prints it. */
static sf_status append_hash(sf_context *ctx, const char *folder, const char *name, sf_text *list) {
    char hash[SF_SHA256_HEX];
    char *path = sf_path_join(ctx, folder, name);
    if (!path)
        return SF_ERROR_MEMORY;
    sf_status status = sf_sha256_file(ctx, path, hash);
    sf_free(ctx, path);
    SF_TRY(status);
    SF_TRY(sf_text_append(list, hash));
    SF_TRY(sf_text_append(list, "  "));
    SF_TRY(sf_text_append(list, name));
    return sf_text_append(list, "\n");
}

static sf_status hash_shards(sf_context *ctx, const char *folder, const char *index_file,
                             char hash[SF_SHA256_HEX]) {
    sf_name_map shards;
    sf_text list = {.ctx = ctx};
    const char **sorted = NULL;
    sf_name_map_init(ctx, &shards);
    sf_status status;
    SF_TRY_OUT(list_shards(ctx, index_file, &shards));
    sorted = SF_NEW_ARRAY(ctx, const char *, shards.count);
    if (!sorted) {
        status = SF_ERROR_MEMORY;
        goto out;
    }
    for (size_t i = 0; i < shards.count; i++)
        sorted[i] = shards.names[i];
    qsort(sorted, shards.count, sizeof *sorted, compare_names);
    for (size_t i = 0; i < shards.count; i++)
        SF_TRY_OUT(append_hash(ctx, folder, sorted[i], &list));
    sf_sha256_bytes(list.chars, list.length, hash);
out:
    sf_free(ctx, sorted);
    sf_free(ctx, list.chars);
    sf_name_map_clear(&shards);
    return status;
}

sf_status sf_pipeline_model_hash(sf_pipeline *pipeline, const char **hash) {
    sf_context *ctx = pipeline->ctx;
    const sf_model *unet = pipeline->unet;
    if (!pipeline->model_hash[0]) {
        if (sf_path_has_suffix(unet->weights_file, ".json"))
            SF_TRY(hash_shards(ctx, unet->folder, unet->weights_file, pipeline->model_hash));
        else
            SF_TRY(sf_sha256_file(ctx, unet->weights_file, pipeline->model_hash));
    }
    *hash = pipeline->model_hash;
    return SF_OK;
}
