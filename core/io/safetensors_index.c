/*
 * Sharded safetensors: an index file names the shard of every tensor. See safetensors.h.
 *
 *     {"metadata": {...},
 *      "weight_map": {"conv_in.weight": "model-00001-of-00002.safetensors", ...}}
 */
#include <string.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/io/safetensors.h"
#include "core/memory.h"
#include "core/name_map.h"

/* What a shard added to the set: the indices from first up to, not including, end. */
struct shard {
    int first;
    int end;
};

struct index {
    sf_context *ctx;
    const char *path;
    json_t *root;
    json_t *weight_map;   /* borrowed from root */
    sf_name_map files;    /* the shards' file names, each once */
    struct shard *shards; /* one a file */
};

static sf_status list_files(struct index *index) {
    const char *tensor;
    json_t *value;
    index->weight_map = json_object_get(index->root, "weight_map");
    if (!json_is_object(index->weight_map))
        SF_FAIL(index->ctx, ERROR_FORMAT, "%s: no weight_map, or not an object", index->path);
    json_object_foreach(index->weight_map, tensor, value) {
        const char *file = json_string_value(value);
        if (!file)
            SF_FAIL(index->ctx, ERROR_FORMAT, "%s: the shard of '%s' is not a string", index->path,
                    tensor);
        if (!sf_path_is_plain_name(file))
            SF_FAIL(index->ctx, ERROR_FORMAT, "%s: the shard '%s' of '%s' is not a plain file name",
                    index->path, file, tensor);
        if (sf_name_map_find(&index->files, file) < 0)
            SF_TRY(sf_name_map_add(&index->files, file));
    }
    return SF_OK;
}

static sf_status load_shards(struct index *index, sf_tensors *set) {
    sf_context *ctx = index->ctx;
    index->shards = SF_NEW_ARRAY(ctx, struct shard, index->files.count);
    char *folder = sf_strndup(ctx, index->path, (size_t)(sf_path_base(index->path) - index->path));
    sf_status status = index->shards && folder ? SF_OK : SF_ERROR_MEMORY;
    for (size_t i = 0; status == SF_OK && i < index->files.count; i++) {
        index->shards[i].first = sf_tensors_count(set);
        char *path = sf_path_join(ctx, folder, index->files.names[i]);
        status = path ? sf_safetensors_add_file(ctx, path, set) : SF_ERROR_MEMORY;
        sf_free(ctx, path);
        index->shards[i].end = sf_tensors_count(set);
    }
    sf_free(ctx, folder);
    return status;
}

/* Every tensor must come from the shard that the index says. Those of other types were left out. */
static sf_status check_promises(const struct index *index, const sf_tensors *set) {
    const char *tensor;
    json_t *value;
    json_object_foreach(index->weight_map, tensor, value) {
        const char *file = json_string_value(value);
        const struct shard *shard = &index->shards[sf_name_map_find(&index->files, file)];
        int position = sf_tensors_position(set, tensor);
        if ((position < shard->first || position >= shard->end) && !sf_tensors_skipped(set, tensor))
            SF_FAIL(index->ctx, ERROR_FORMAT, "%s: tensor '%s' is not in its shard '%s'",
                    index->path, tensor, file);
    }
    return SF_OK;
}

static sf_status add_index(struct index *index, sf_tensors *set) {
    SF_TRY(sf_json_load(index->ctx, index->path, &index->root));
    SF_TRY(list_files(index));
    SF_TRY(load_shards(index, set));
    return check_promises(index, set);
}

sf_status sf_safetensors_add_index(sf_context *ctx, const char *path, sf_tensors *set) {
    struct index index = {.ctx = ctx, .path = path};
    sf_name_map_init(ctx, &index.files);
    sf_status status = add_index(&index, set);
    json_decref(index.root);
    sf_name_map_clear(&index.files);
    sf_free(ctx, index.shards);
    return status;
}
