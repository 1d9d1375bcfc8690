/*
 * JSON descriptions as text for people. See describe.h.
 */
#include "cli/describe.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */

const char *format_bytes(json_int_t bytes, char *text) {
    double value = (double)bytes;
    if (bytes >= 1 << 30)
        snprintf(text, FORMAT_BYTES_TEXT, "%.2f GiB", value / (1 << 30));
    else if (bytes >= 1 << 20)
        snprintf(text, FORMAT_BYTES_TEXT, "%.1f MiB", value / (1 << 20));
    else
        snprintf(text, FORMAT_BYTES_TEXT, "%.1f KiB", value / (1 << 10));
    return text;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

/* ---- a plan ---- */

static void print_ops(const char *where, json_t *ops) {
    const char *name;
    json_t *count;
    if (json_object_size(ops) == 0)
        return;
    printf("    ops on %s:", where);
    json_object_foreach(ops, name, count) printf(" %s %d", name, (int)json_integer_value(count));
    printf("\n");
}

static void print_memory(const json_t *memory) {
    char peak[FORMAT_BYTES_TEXT], least[FORMAT_BYTES_TEXT], limit[FORMAT_BYTES_TEXT];
    printf("memory: %s at most", format_bytes(number_of(memory, "peak_bytes"), peak));
    if (number_of(memory, "limit_bytes"))
        printf(", %s allowed", format_bytes(number_of(memory, "limit_bytes"), limit));
    printf(" (%s would do)\n", format_bytes(number_of(memory, "least_bytes"), least));
    if (number_of(memory, "device_bytes"))
        printf("device memory: %s\n", format_bytes(number_of(memory, "device_bytes"), peak));
}

static void print_stage(const json_t *stage, const json_t *plan) {
    char planned[FORMAT_BYTES_TEXT], unshared[FORMAT_BYTES_TEXT], weights[FORMAT_BYTES_TEXT];
    char process[FORMAT_BYTES_TEXT];
    printf("  %s: %d evaluation%s, %s planned (%s unshared), %s of weights; %s in all\n",
           text_of(stage, "stage"), (int)number_of(stage, "evaluations"),
           number_of(stage, "evaluations") == 1 ? "" : "s",
           format_bytes(number_of(stage, "arena_bytes"), planned),
           format_bytes(number_of(stage, "unshared_bytes"), unshared),
           format_bytes(number_of(stage, "weight_bytes"), weights),
           format_bytes(number_of(stage, "process_bytes"), process));
    print_ops(text_of(plan, "backend"), json_object_get(stage, "ops"));
    print_ops(text_of(plan, "fallback"), json_object_get(stage, "fallback_ops"));
}

void describe_plan(const char *json) {
    json_t *plan = json_loads(json, 0, NULL);
    size_t index;
    json_t *stage;
    printf("model %s, backend %s\n", text_of(plan, "model"), text_of(plan, "backend"));
    printf("%dx%d, %s, %d steps, guidance %g, seed %s\n", (int)number_of(plan, "width"),
           (int)number_of(plan, "height"), text_of(plan, "sampler"), (int)number_of(plan, "steps"),
           json_number_value(json_object_get(plan, "guidance_scale")), text_of(plan, "seed"));
    print_memory(json_object_get(plan, "memory"));
    json_array_foreach(json_object_get(plan, "stages"), index, stage) print_stage(stage, plan);
    json_decref(plan);
}

/* ---- anything ---- */

static void print_value(const json_t *value, int depth);

static void print_scalar(const json_t *value) {
    if (json_is_string(value)) {
        printf("%s", json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    printf("%s", text ? text : "?");
    free(text);
}

static bool is_plain(const json_t *value) {
    size_t index;
    json_t *item;
    if (!json_is_array(value))
        return !json_is_object(value) || json_object_size(value) == 0;
    json_array_foreach(value, index,
                       item) if (json_is_object(item) || json_is_array(item)) return false;
    return true;
}

/* An object whose members are all plain, on one line: "unet.weight  f16  [3, 4]". */
static bool print_row(const json_t *object, int depth) {
    const char *key;
    json_t *item;
    if (!json_is_object(object))
        return false;
    json_object_foreach((json_t *)object, key, item) if (!is_plain(item)) return false;
    printf("%*s", depth * 2, "");
    json_object_foreach((json_t *)object, key, item) {
        print_scalar(item);
        printf("  ");
    }
    printf("\n");
    return true;
}

static void print_array(const json_t *array, int depth) {
    size_t index;
    json_t *item;
    json_array_foreach(array, index, item) if (!print_row(item, depth)) print_value(item, depth);
}

static void print_member(const char *key, const json_t *value, int depth) {
    printf("%*s%s:", depth * 2, "", key);
    if (is_plain(value)) {
        printf(" ");
        print_scalar(value);
        printf("\n");
        return;
    }
    printf("\n");
    print_value(value, depth + 1);
}

static void print_value(const json_t *value, int depth) {
    const char *key;
    json_t *item;
    if (json_is_array(value)) {
        print_array(value, depth);
    } else if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, item) print_member(key, item, depth);
    } else {
        printf("%*s", depth * 2, "");
        print_scalar(value);
        printf("\n");
    }
}

void describe_any(const char *json) {
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    print_value(value, 0);
    json_decref(value);
}
