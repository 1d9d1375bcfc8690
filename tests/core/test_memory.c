/*
 * Allocation: products that overflow, growth, copies of text, and the seam where tests make it
 * fail.
 */
#include "core/memory.h"

#include <stdlib.h>

#include "tests/support/failing.h"
#include "tests/support/support.h"

Suite *suite_core_memory(void);

START_TEST(memory_is_zeroed_and_a_count_of_0_gives_a_block) {
    sf_context *ctx = test_context();
    unsigned char *block = sf_alloc(ctx, 100, 3);
    ck_assert_ptr_nonnull(block);
    for (int i = 0; i < 300; i++)
        ck_assert_uint_eq(block[i], 0);
    sf_free(ctx, block);
    block = sf_alloc(ctx, 0, 8);
    ck_assert_ptr_nonnull(block);
    sf_free(ctx, block);
    sf_free(ctx, NULL);
    test_context_free(ctx);
}
END_TEST

START_TEST(products_that_overflow_are_out_of_memory) {
    sf_context *ctx = test_context();
    ck_assert_ptr_null(sf_alloc(ctx, SIZE_MAX / 2, 3));
    ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), "out of memory"));

    void *block = NULL;
    size_t capacity = 0;
    ck_fails(ctx, sf_grow(ctx, &block, &capacity, SIZE_MAX / 4, 8), SF_ERROR_MEMORY, "overflow");
    ck_assert_ptr_null(block);
    ck_assert_uint_eq(capacity, 0);
    ck_assert_ptr_null(sf_strndup(ctx, "x", SIZE_MAX));

    size_t size = 7;
    int64_t product = 7;
    ck_assert(!sf_multiply_size(SIZE_MAX, 2, &size));
    ck_assert(!sf_multiply_i64(INT64_MAX, 2, &product));
    ck_assert(!sf_multiply_i64(INT64_MIN, -1, &product));
    ck_assert_uint_eq(size, 7);
    ck_assert_int_eq(product, 7);
    ck_assert(sf_multiply_size(1u << 20, 1u << 10, &size) && size == 1u << 30);
    ck_assert(sf_multiply_i64(-3, 5, &product) && product == -15);
    test_context_free(ctx);
}
END_TEST

START_TEST(growing_keeps_what_is_there) {
    struct failing_allocator allocator = {.fail_at = 0};
    sf_context *ctx = failing_context(&allocator);
    int *numbers = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        ck_ok(ctx, sf_grow(ctx, (void **)&numbers, &capacity, i + 1, sizeof *numbers));
        ck_assert_uint_gt(capacity, i);
        numbers[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(numbers[i], i);
    ck_assert_msg(allocator.calls < 20, "%ld calls: growth is not geometric", allocator.calls);
    sf_free(ctx, numbers);
    ck_assert_int_eq(allocator.live, 0);
    sf_context_free(ctx);
}
END_TEST

START_TEST(a_failed_growth_leaves_the_block_valid) {
    struct failing_allocator allocator = {.fail_at = 2};
    sf_context *ctx = failing_context(&allocator);
    int *numbers = NULL;
    size_t capacity = 0;
    ck_ok(ctx, sf_grow(ctx, (void **)&numbers, &capacity, 4, sizeof *numbers));
    size_t before = capacity;
    numbers[3] = 42;
    ck_fails(ctx, sf_grow(ctx, (void **)&numbers, &capacity, 4000, sizeof *numbers),
             SF_ERROR_MEMORY, "out of memory");
    ck_assert_uint_eq(capacity, before);
    ck_assert_int_eq(numbers[3], 42);
    sf_free(ctx, numbers);
    sf_context_free(ctx);
}
END_TEST

START_TEST(texts_are_copied) {
    sf_context *ctx = test_context();
    char long_text[5000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';

    char *copy = sf_strdup(ctx, "a\xc3\xa4");
    ck_assert_str_eq(copy, "a\xc3\xa4");
    sf_free(ctx, copy);
    copy = sf_strndup(ctx, "apple pie", 5);
    ck_assert_str_eq(copy, "apple");
    sf_free(ctx, copy);
    copy = sf_format(ctx, "%s-%d", long_text, 12);
    ck_assert_uint_eq(strlen(copy), sizeof long_text - 1 + 3);
    ck_assert_str_eq(copy + sizeof long_text - 1, "-12");
    sf_free(ctx, copy);
    test_context_free(ctx);
}
END_TEST

static sf_status allocate_all(sf_context *ctx, void *user) {
    (void)user;
    sf_status status = SF_ERROR_MEMORY;
    void *block = sf_alloc(ctx, 3, 5);
    char *text = sf_strdup(ctx, "text");
    char *formatted = sf_format(ctx, "%d", 5);
    void *grown = NULL;
    size_t capacity = 0;
    if (block && text && formatted)
        status = sf_grow(ctx, &grown, &capacity, 10, 1);
    sf_free(ctx, block);
    sf_free(ctx, text);
    sf_free(ctx, formatted);
    sf_free(ctx, grown);
    return status;
}

START_TEST(each_allocation_can_fail) {
    check_each_allocation(allocate_all, NULL, 0);
}
END_TEST

Suite *suite_core_memory(void) {
    Suite *suite = suite_create("core_memory");
    TCase *tcase = tcase_create("memory");
    tcase_add_test(tcase, memory_is_zeroed_and_a_count_of_0_gives_a_block);
    tcase_add_test(tcase, products_that_overflow_are_out_of_memory);
    tcase_add_test(tcase, growing_keeps_what_is_there);
    tcase_add_test(tcase, a_failed_growth_leaves_the_block_valid);
    tcase_add_test(tcase, texts_are_copied);
    tcase_add_test(tcase, each_allocation_can_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
