#include "tests/support/model_folder.h"

#include <dirent.h>
#include <jansson.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/tensor.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

/* ---- copies ---- */

void model_copy_file(const char *from, const char *name) {
    size_t bytes;
    char *data = test_read_file(from, &bytes);
    scratch_write(name, data, bytes);
    free(data);
}

void model_copy(const char *from, const char *name) {
    DIR *folder = opendir(from);
    struct dirent *entry;
    ck_assert_msg(folder != NULL, "%s can't be opened", from);
    ck_assert_int_eq(mkdir(scratch(name), 0700), 0);
    while ((entry = readdir(folder))) {
        char source[PATH_MAX], target[PATH_MAX];
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", name, entry->d_name);
        ck_assert_int_eq(stat(source, &status), 0);
        if (S_ISDIR(status.st_mode))
            model_copy(source, target);
        else
            model_copy_file(source, target);
    }
    closedir(folder);
}

void model_copy_distilled(const char *name) {
    static const char *const files[] = {
        "model_index.json",          "scheduler/scheduler_config.json",
        "unet/config.json",          "unet/diffusion_pytorch_model.safetensors.index.json",
        "unet/guidance.safetensors",
    };
    model_copy(TINY_MODEL, name);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char source[PATH_MAX], target[PATH_MAX];
        snprintf(source, sizeof source, "pipelines/distilled/%s", files[i]);
        snprintf(target, sizeof target, "%s/%s", name, files[i]);
        model_copy_file(test_data(source), target);
    }
}

/* ---- damage ---- */

void model_set_json(const char *name, const char *key, const char *value) {
    json_t *file = json_load_file(scratch(name), 0, NULL);
    json_t *member = json_loads(value, JSON_DECODE_ANY, NULL);
    ck_assert_msg(file && member, "%s or %s is not JSON", name, value);
    ck_assert_int_eq(json_object_set_new(file, key, member), 0);
    ck_assert_int_eq(json_dump_file(file, scratch(name), 0), 0);
    json_decref(file);
}

void model_replace(const char *name, const char *old, const char *new) {
    size_t bytes;
    char *data = test_read_file(scratch(name), &bytes);
    char *place = memmem(data, bytes, old, strlen(old));
    ck_assert_msg(place != NULL, "%s has no %s", name, old);
    ck_assert_uint_eq(strlen(old), strlen(new));
    memcpy(place, new, strlen(new));
    scratch_write(name, data, bytes);
    free(data);
}

void model_truncate(const char *name, size_t bytes) {
    size_t all;
    char *data = test_read_file(scratch(name), &all);
    ck_assert_uint_le(bytes, all);
    scratch_write(name, data, bytes);
    free(data);
}

/* ---- weights ---- */

/* A safetensors file in memory and one of its tensors. */
struct weights {
    char *file;
    size_t bytes;
    char *data; /* within file */
    size_t n_elements;
    int is_half;
};

static struct weights open_weights(const char *name, const char *tensor) {
    struct weights weights;
    uint64_t header_bytes;
    const char *type;
    json_int_t begin, end;
    weights.file = test_read_file(scratch(name), &weights.bytes);
    memcpy(&header_bytes, weights.file, sizeof header_bytes);
    json_t *header = json_loadb(weights.file + 8, (size_t)header_bytes, 0, NULL);
    ck_assert_ptr_nonnull(header);
    json_t *entry = json_object_get(header, tensor);
    ck_assert_msg(entry != NULL, "%s has no tensor %s", name, tensor);
    ck_assert_int_eq(
        json_unpack(entry, "{s:s, s:[I,I]}", "dtype", &type, "data_offsets", &begin, &end), 0);
    weights.is_half = strcmp(type, "F16") == 0;
    ck_assert(weights.is_half || strcmp(type, "F32") == 0);
    weights.data = weights.file + 8 + header_bytes + begin;
    weights.n_elements = (size_t)(end - begin) / (weights.is_half ? 2 : 4);
    json_decref(header);
    return weights;
}

static float get_element(const struct weights *weights, size_t i) {
    uint16_t half;
    float value;
    memcpy(&half, weights->data + 2 * i, sizeof half);
    if (!weights->is_half)
        memcpy(&value, weights->data + 4 * i, sizeof value);
    return weights->is_half ? sf_f16_to_f32(half) : value;
}

static void set_element(const struct weights *weights, size_t i, float value) {
    uint16_t half = sf_f32_to_f16(value);
    if (weights->is_half)
        memcpy(weights->data + 2 * i, &half, sizeof half);
    else
        memcpy(weights->data + 4 * i, &value, sizeof value);
}

void model_scale_tensor(const char *name, const char *tensor, float factor) {
    struct weights weights = open_weights(name, tensor);
    for (size_t i = 0; i < weights.n_elements; i++)
        set_element(&weights, i, factor * get_element(&weights, i));
    scratch_write(name, weights.file, weights.bytes);
    free(weights.file);
}

void model_set_element(const char *name, const char *tensor, size_t element, float value) {
    struct weights weights = open_weights(name, tensor);
    ck_assert_uint_lt(element, weights.n_elements);
    set_element(&weights, element, value);
    scratch_write(name, weights.file, weights.bytes);
    free(weights.file);
}
