/*
 * sf_inspect(): what a file or folder is, as JSON. Reads headers and configurations, no weights.
 *
 * jansson's own allocations tell of failure by NULL, which json_pack() and the setters take and
 * answer with NULL or -1: `failed` collects those, and one check at the end of each object is enough.
 */
#include <dirent.h>
#include <string.h>

#include "core/image.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/io/safetensors.h"
#include "core/memory.h"
#include "core/tensor.h"

static sf_status no_json_memory(sf_context *ctx) {
    SF_FAIL(ctx, ERROR_MEMORY, "out of memory for a JSON description");
}

/* The value, or NULL where it is not whole. */
static json_t *unless_failed(json_t *value, int failed) {
    if (!failed)
        return value;
    json_decref(value);
    return NULL;
}

/* ---- weights ---- */

static json_t *shape_json(const sf_tensor *tensor) {
    json_t *shape = json_array();
    int failed = 0;
    for (int axis = 0; axis < tensor->n_dims; axis++)
        failed |= json_array_append_new(shape, json_integer((json_int_t)tensor->dims[axis]));
    return unless_failed(shape, failed);
}

/* Adds n to the number under key. */
static int count_in(json_t *object, const char *key, int64_t n) {
    json_int_t before = json_integer_value(json_object_get(object, key));
    return json_object_set_new(object, key, json_integer(before + (json_int_t)n));
}

/* Parameters by type; with_list adds each tensor's name, type and shape. */
static json_t *weights_json(const sf_tensors *tensors, bool with_list) {
    json_t *types = json_object(), *list = json_array();
    int64_t n_parameters = 0, bytes = 0;
    int failed = !list;
    for (int i = 0; i < sf_tensors_count(tensors); i++) {
        const sf_tensor *tensor = sf_tensors_at(tensors, i);
        int64_t n = sf_tensor_n_elements(tensor);
        n_parameters += n;
        bytes += (int64_t)sf_tensor_bytes(tensor);
        failed |= count_in(types, sf_dtype_name(tensor->dtype), n);
        if (with_list)
            failed |= json_array_append_new(
                list, json_pack("{s:s, s:s, s:o}", "name", sf_tensors_name(tensors, i), "type",
                                sf_dtype_name(tensor->dtype), "shape", shape_json(tensor)));
    }
    json_t *json =
        json_pack("{s:I, s:I, s:i, s:o}", "parameters", (json_int_t)n_parameters, "bytes",
                  (json_int_t)bytes, "n_tensors", sf_tensors_count(tensors), "types", types);
    if (with_list)
        failed |= json_object_set(json, "tensors", list);
    json_decref(list);
    return unless_failed(json, failed);
}

static sf_status inspect_weights(sf_context *ctx, const char *path, json_t **json) {
    sf_tensors *tensors = NULL;
    SF_TRY(sf_tensors_load_headers(ctx, path, &tensors));
    json_t *metadata = json_object();
    int failed = 0;
    for (int i = 0; i < sf_tensors_metadata_count(tensors); i++) {
        const char *key, *value;
        sf_tensors_metadata_at(tensors, i, &key, &value);
        failed |= json_object_set_new(metadata, key, json_string(value));
    }
    json_t *made = json_pack("{s:s, s:o}", "kind", "weights", "metadata", metadata);
    json_t *weights = weights_json(tensors, true);
    failed |= made && weights ? json_object_update(made, weights) : -1;
    json_decref(weights);
    sf_tensors_free(tensors);
    if (failed) {
        json_decref(made);
        return no_json_memory(ctx);
    }
    *json = made;
    return SF_OK;
}

/* ---- pictures ---- */

static sf_status inspect_picture(sf_context *ctx, const char *path, json_t **json) {
    sf_image *image = NULL;
    SF_TRY(sf_image_load(ctx, path, &image));
    json_t *texts = json_object();
    int failed = 0;
    for (size_t i = 0; i < image->n_texts; i++)
        failed |=
            json_object_set_new(texts, image->texts[i].key, json_string(image->texts[i].value));
    *json = unless_failed(json_pack("{s:s, s:i, s:i, s:o}", "kind", "picture", "width",
                                    image->width, "height", image->height, "texts", texts),
                          failed);
    sf_image_free(image);
    return *json ? SF_OK : no_json_memory(ctx);
}

/* ---- folders ---- */

/* Adds the weights files of a folder, if there are any. */
static sf_status folder_weights(sf_context *ctx, const char *folder, json_t *json) {
    DIR *open_folder = opendir(folder);
    if (!open_folder)
        return SF_OK;
    json_t *files = json_array();
    sf_status status = SF_OK;
    int failed = files ? 0 : -1;
    for (struct dirent *entry; status == SF_OK && (entry = readdir(open_folder));) {
        if (!sf_path_has_suffix(entry->d_name, ".safetensors"))
            continue;
        char *path = sf_path_join(ctx, folder, entry->d_name);
        sf_tensors *tensors = NULL;
        status = path ? sf_tensors_load_headers(ctx, path, &tensors) : SF_ERROR_MEMORY;
        sf_free(ctx, path);
        if (status != SF_OK)
            break;
        json_t *weights = weights_json(tensors, false);
        failed |= json_object_set_new(weights, "file", json_string(entry->d_name));
        failed |= json_array_append_new(files, weights);
        sf_tensors_free(tensors);
    }
    closedir(open_folder);
    if (json_array_size(files) > 0)
        failed |= json_object_set(json, "weights", files);
    json_decref(files);
    return status == SF_OK && failed ? no_json_memory(ctx) : status;
}

static const char *class_of(const json_t *config) {
    const char *name = json_string_value(json_object_get(config, "_class_name"));
    if (!name)
        name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    return name ? name : "";
}

/* A folder with config.json: class, configuration and weights. */
static sf_status inspect_component(sf_context *ctx, const char *folder, const char *config_file,
                                   json_t **json) {
    char *path = sf_path_join(ctx, folder, config_file);
    json_t *config = NULL;
    if (!path)
        return SF_ERROR_MEMORY;
    sf_status status = sf_json_load(ctx, path, &config);
    sf_free(ctx, path);
    SF_TRY(status);
    json_t *made = json_pack("{s:s, s:s, s:O}", "kind", "component", "class", class_of(config),
                             "config", config);
    json_decref(config);
    if (!made)
        return no_json_memory(ctx);
    status = folder_weights(ctx, folder, made);
    if (status != SF_OK)
        json_decref(made);
    else
        *json = made;
    return status;
}

/* A component of a pipeline: null entries, and classes without a folder, have no more to tell. */
static sf_status add_component(sf_context *ctx, const char *folder, const char *name,
                               const json_t *entry, json_t *list) {
    const char *class_name = json_string_value(json_array_get(entry, 1));
    if (!class_name || !sf_path_is_plain_name(name))
        return SF_OK;
    json_t *json = json_pack("{s:s, s:s}", "name", name, "class", class_name);
    char *path = sf_path_join(ctx, folder, name);
    sf_status status = !path ? SF_ERROR_MEMORY : !json ? no_json_memory(ctx) : SF_OK;
    if (status == SF_OK && sf_path_is_folder(path))
        status = folder_weights(ctx, path, json);
    sf_free(ctx, path);
    if (json && json_array_append_new(list, json) != 0 && status == SF_OK)
        status = no_json_memory(ctx);
    return status;
}

static sf_status inspect_pipeline(sf_context *ctx, const char *folder, const char *index_file,
                                  json_t **json) {
    json_t *index = NULL;
    SF_TRY(sf_json_load(ctx, index_file, &index));
    json_t *components = json_array();
    const char *name;
    json_t *entry;
    sf_status status = components ? SF_OK : no_json_memory(ctx);
    json_object_foreach(index, name, entry) {
        if (status == SF_OK && name[0] != '_' && json_is_array(entry))
            status = add_component(ctx, folder, name, entry, components);
    }
    if (status == SF_OK) {
        *json = json_pack("{s:s, s:s, s:O}", "kind", "pipeline", "class", class_of(index),
                          "components", components);
        status = *json ? SF_OK : no_json_memory(ctx);
    }
    json_decref(components);
    json_decref(index);
    return status;
}

static sf_status inspect_folder(sf_context *ctx, const char *folder, json_t **json) {
    char *index = sf_path_join(ctx, folder, "model_index.json");
    char *config = sf_path_join(ctx, folder, "config.json");
    sf_status status = SF_ERROR_MEMORY;
    if (index && config) {
        if (sf_path_is_file(index))
            status = inspect_pipeline(ctx, folder, index, json);
        else if (sf_path_is_file(config))
            status = inspect_component(ctx, folder, "config.json", json);
        else
            status =
                sf_fail(ctx, SF_ERROR_FORMAT,
                        "%s: neither model_index.json nor config.json is in this folder", folder);
    }
    sf_free(ctx, index);
    sf_free(ctx, config);
    return status;
}

/* ---- what is it? ---- */

sf_status sf_inspect(sf_context *context, const char *path, char **json) {
    json_t *made = NULL;
    if (sf_path_is_folder(path))
        SF_TRY(inspect_folder(context, path, &made));
    else if (sf_path_has_suffix(path, ".png"))
        SF_TRY(inspect_picture(context, path, &made));
    else if (sf_path_has_suffix(path, ".safetensors") || sf_path_has_suffix(path, ".index.json"))
        SF_TRY(inspect_weights(context, path, &made));
    else
        SF_FAIL(context, ERROR_UNSUPPORTED,
                "%s: not a folder, nor a .safetensors, .safetensors.index.json or .png file", path);
    sf_status status = sf_json_write(context, made, JSON_INDENT(2), json);
    json_decref(made);
    return status;
}

void sf_text_free(sf_context *context, char *text) {
    sf_free(context, text);
}
