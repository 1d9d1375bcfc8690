#include "tests/support/support.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

sf_context *test_context(void) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_context_options_init(&options);
    options.log = NULL;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    return ctx;
}

void test_context_free(sf_context *ctx) {
    sf_context_free(ctx);
}

static const char *join(const char *folder, const char *relative) {
    static char ring[16][PATH_MAX];
    static unsigned next;
    char *path = ring[next++ % 16];
    int length = snprintf(path, sizeof ring[0], "%s%s%s", folder, *relative ? "/" : "", relative);
    ck_assert_int_lt(length, PATH_MAX);
    return path;
}

const char *test_data(const char *relative) {
    return join(SF_TEST_DATA_DIR, relative);
}

const char *test_model(const char *relative) {
    return join(SF_TEST_MODEL_DIR, relative);
}

const char *test_source(const char *relative) {
    return join(SF_TEST_SOURCE_DIR, relative);
}

const char *test_build(const char *relative) {
    return join(SF_TEST_BUILD_DIR, relative);
}

char *test_read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s can't be opened", path);
    char *text = NULL;
    size_t length = 0, capacity = 0, n_read;
    do {
        capacity = capacity * 2 + 4096;
        text = realloc(text, capacity);
        ck_assert_ptr_nonnull(text);
        n_read = fread(text + length, 1, capacity - length - 1, file);
        length += n_read;
    } while (n_read > 0);
    ck_assert_int_eq(ferror(file), 0);
    fclose(file);
    text[length] = '\0';
    if (bytes)
        *bytes = length;
    return text;
}
