/*
 * Fuzz target: a JSON configuration, read with every getter for every one of its keys.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/io/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void get_everything(sf_context *ctx, const json_t *object, const char *key) {
    int64_t integer;
    int narrow;
    double number;
    bool flag;
    const char *string;
    sf_json_ints ints;
    sf_json_numbers numbers;
    sf_json_strings strings;
    if (sf_json_get_int(ctx, "fuzz", object, key, 0, -5, 5, &integer) == SF_OK &&
        (integer < -5 || integer > 5))
        abort();
    sf_json_get_int32(ctx, "fuzz", object, key, 0, INT32_MIN, INT32_MAX, &narrow);
    sf_json_get_number(ctx, "fuzz", object, key, 0, &number);
    sf_json_get_bool(ctx, "fuzz", object, key, false, &flag);
    sf_json_get_string(ctx, "fuzz", object, key, "", &string);
    for (int wanted = 0; wanted < 4; wanted += 3) {
        sf_json_get_ints(ctx, "fuzz", object, key, wanted, INT64_MIN, INT64_MAX, &ints);
        sf_json_get_numbers(ctx, "fuzz", object, key, wanted, &numbers);
        sf_json_get_strings(ctx, "fuzz", object, key, wanted, &strings);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sf_context *ctx;
    if (sf_context_new(NULL, &ctx) != SF_OK)
        return 0;
    for (unsigned flags = 0; flags <= SF_JSON_UNIQUE_NAMES; flags++) {
        json_t *root, *value;
        const char *key;
        if (sf_json_parse(ctx, "fuzz", (const char *)data, size, flags, &root) != SF_OK)
            continue;
        json_object_foreach(root, key, value) get_everything(ctx, root, key);
        json_decref(root);
    }
    sf_context_free(ctx);
    return 0;
}
