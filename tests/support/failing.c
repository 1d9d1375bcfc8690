#include "tests/support/failing.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

static void *resize(void *user, void *block, size_t bytes) {
    struct failing_allocator *allocator = user;
    if (bytes == 0) {
        allocator->live -= block != NULL;
        free(block);
        return NULL;
    }
    if (++allocator->calls == allocator->fail_at)
        return NULL;
    void *resized = realloc(block, bytes);
    allocator->live += resized && !block;
    return resized;
}

sf_context *failing_context(struct failing_allocator *allocator) {
    sf_context_options options;
    sf_context *ctx;
    long fail_at = allocator->fail_at;
    sf_context_options_init(&options);
    options.allocator = (sf_allocator){.resize = resize, .user = allocator};
    allocator->fail_at = 0;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    *allocator = (struct failing_allocator){.fail_at = fail_at};
    return ctx;
}

void check_each_allocation(sf_status (*body)(sf_context *ctx, void *user), void *user,
                           int n_tolerated) {
    long n = 0;
    for (bool met = true; met;) {
        struct failing_allocator allocator = {.fail_at = ++n};
        sf_context *ctx = failing_context(&allocator);
        sf_status status = body(ctx, user);
        met = allocator.calls >= n;
        if (!met)
            ck_assert_msg(status == SF_OK, "without a failure: %s", sf_error_message(ctx));
        else if (status == SF_OK)
            ck_assert_msg(n_tolerated-- > 0, "allocation %ld failed unnoticed", n);
        else
            ck_assert_msg(status == SF_ERROR_MEMORY && *sf_error_message(ctx),
                          "allocation %ld: status %d, '%s'", n, (int)status, sf_error_message(ctx));
        ck_assert_msg(allocator.live == 0, "allocation %ld: %ld blocks are left", n,
                      allocator.live);
        sf_context_free(ctx);
    }
    ck_assert_msg(n > 1, "nothing was allocated");
}
