/* Host tensors and named sets of them. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/support/failing.h"
#include "tests/support/support.h"

Suite *suite_core_tensor(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
}

static void teardown(void) {
    test_context_free(ctx);
}

START_TEST(a_new_tensor_is_zeroed_and_knows_its_shape) {
    static const int64_t wanted[SF_MAX_DIMS] = {2, 3, 5, 1, 1};
    sf_tensor *tensor;
    ck_ok(ctx, sf_tensor_new(ctx, SF_F16, 3, (int64_t[]){2, 3, 5}, &tensor));
    ck_assert_int_eq(sf_tensor_dtype(tensor), SF_F16);
    ck_assert_int_eq(sf_tensor_n_dims(tensor), 3);
    ck_assert_int_eq(sf_tensor_n_elements(tensor), 30);
    ck_assert_uint_eq(sf_tensor_bytes(tensor), 60);
    for (int i = 0; i < SF_MAX_DIMS; i++)
        ck_assert_int_eq(sf_tensor_dims(tensor)[i], wanted[i]);
    for (int i = 0; i < 60; i++)
        ck_assert_int_eq(((const char *)sf_tensor_const_data(tensor))[i], 0);
    sf_tensor_free(tensor);
    sf_tensor_free(NULL);
}
END_TEST

START_TEST(scalars_and_empty_tensors) {
    sf_tensor *scalar, *empty;
    ck_ok(ctx, sf_tensor_new(ctx, SF_I64, 0, NULL, &scalar));
    ck_assert_int_eq(sf_tensor_n_elements(scalar), 1);
    ck_assert_int_eq(sf_tensor_dims(scalar)[0], 1);
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, 2, (int64_t[]){3, 0}, &empty));
    ck_assert_int_eq(sf_tensor_n_elements(empty), 0);
    ck_assert_ptr_nonnull(sf_tensor_data(empty));
    sf_tensor_free(scalar);
    sf_tensor_free(empty);
}
END_TEST

START_TEST(impossible_shapes_are_refused) {
    sf_tensor *tensor = NULL;
    int64_t huge = INT64_C(1) << 60;
    ck_fails(ctx, sf_tensor_new(ctx, SF_F32, 6, (int64_t[]){1, 1, 1, 1, 1, 1}, &tensor),
             SF_ERROR_SHAPE, "6 dimensions");
    ck_fails(ctx, sf_tensor_new(ctx, SF_F32, -1, NULL, &tensor), SF_ERROR_SHAPE, "-1 dimensions");
    ck_fails(ctx, sf_tensor_new(ctx, SF_F32, 2, (int64_t[]){2, -3}, &tensor), SF_ERROR_SHAPE,
             "[2, -3] has a negative");
    ck_fails(ctx, sf_tensor_new(ctx, SF_F32, 2, (int64_t[]){huge, huge}, &tensor), SF_ERROR_SHAPE,
             "too large");
    ck_fails(ctx, sf_tensor_new(ctx, SF_F32, 3, (int64_t[]){0, huge, huge}, &tensor),
             SF_ERROR_SHAPE, "too large");
    ck_fails(ctx, sf_tensor_new(ctx, SF_I64, 1, (int64_t[]){huge}, &tensor), SF_ERROR_SHAPE,
             "[1152921504606846976] of i64 is too large");
    ck_fails(ctx, sf_tensor_new(ctx, SF_NONE, 0, NULL, &tensor), SF_ERROR_ARGUMENT,
             "no element type");
    ck_assert_ptr_null(tensor);
}
END_TEST

START_TEST(more_memory_than_there_is_is_an_error) {
    struct failing_allocator allocator = {0};
    sf_context *failing = failing_context(&allocator);
    sf_tensor *tensor;
    allocator.fail_at = 2; /* the first is the tensor itself */
    ck_assert_int_eq(sf_tensor_new(failing, SF_U8, 1, (int64_t[]){INT64_C(1) << 40}, &tensor),
                     SF_ERROR_MEMORY);
    ck_assert_ptr_nonnull(strstr(sf_error_message(failing), "1099511627776 bytes"));
    ck_assert_int_eq(allocator.live, 0);
    sf_context_free(failing);
}
END_TEST

START_TEST(shape_text_fits_the_longest_shape) {
    char text[SF_SHAPE_TEXT];
    int64_t low[SF_MAX_DIMS] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
    ck_assert_str_eq(sf_shape_text(0, NULL, text), "[]");
    ck_assert_str_eq(sf_shape_text(2, (int64_t[]){3, 0}, text), "[3, 0]");
    ck_assert_uint_eq(strlen(sf_shape_text(SF_MAX_DIMS, low, text)), 5 * 20 + 4 * 2 + 2);
}
END_TEST

START_TEST(elements_read_as_double_and_f32) {
    float f32[] = {-1.5f, 0, 3};
    uint16_t f16[] = {0xbe00, 0, 0x4200}, bf16[] = {0xbfc0, 0, 0x4040};
    int32_t i32[] = {-2147483647 - 1, 0, 3};
    int64_t i64[] = {-5, 0, INT64_C(1) << 40};
    uint8_t u8[] = {255, 0, 3};
    const struct {
        sf_dtype dtype;
        const void *data;
        double wanted[3];
    } cases[] = {
        {SF_F32, f32, {-1.5, 0, 3}},    {SF_F16, f16, {-1.5, 0, 3}},
        {SF_BF16, bf16, {-1.5, 0, 3}},  {SF_I32, i32, {-2147483648.0, 0, 3}},
        {SF_I64, i64, {-5, 0, 0x1p40}}, {SF_U8, u8, {255, 0, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sf_tensor *tensor, *converted;
        ck_ok(ctx,
              sf_tensor_borrow(ctx, cases[i].dtype, 1, (int64_t[]){3}, cases[i].data, &tensor));
        ck_ok(ctx, sf_tensor_to_f32(ctx, tensor, &converted));
        ck_assert_ptr_eq(sf_tensor_const_data(tensor), cases[i].data);
        ck_assert_int_eq(sf_tensor_dtype(converted), SF_F32);
        for (int k = 0; k < 3; k++) {
            ck_assert_double_eq(sf_tensor_get(tensor, k), cases[i].wanted[k]);
            ck_assert_double_eq(sf_tensor_get(converted, k), cases[i].wanted[k]);
        }
        sf_tensor_free(tensor);
        sf_tensor_free(converted);
    }
}
END_TEST

static sf_tensor *new_scalar(float value) {
    sf_tensor *tensor;
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, 0, NULL, &tensor));
    *(float *)sf_tensor_data(tensor) = value;
    return tensor;
}

START_TEST(sets_keep_the_order_and_find_by_name) {
    sf_tensors *set;
    char name[32];
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    ck_assert_ptr_null(sf_tensors_find(set, "none yet"));
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "blocks.%d.weight", i);
        ck_ok(ctx, sf_tensors_add(set, name, new_scalar((float)i)));
    }
    ck_assert_int_eq(sf_tensors_count(set), 5000);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "blocks.%d.weight", i);
        ck_assert_str_eq(sf_tensors_name(set, i), name);
        ck_assert_int_eq(sf_tensors_position(set, name), i);
        ck_assert_ptr_eq(sf_tensors_find(set, name), sf_tensors_at(set, i));
        ck_assert_double_eq(sf_tensor_get(sf_tensors_find(set, name), 0), i);
    }
    ck_assert_ptr_null(sf_tensors_find(set, "blocks.5000.weight"));
    ck_assert_ptr_null(sf_tensors_find(set, ""));
    sf_tensors_free(set);
    sf_tensors_free(NULL);
}
END_TEST

START_TEST(a_name_can_be_taken_once) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    ck_ok(ctx, sf_tensors_add(set, "x", new_scalar(1)));
    ck_fails(ctx, sf_tensors_add(set, "x", new_scalar(2)), SF_ERROR_ARGUMENT,
             "'x' is there already");
    ck_fails(ctx, sf_tensors_add(set, "y", NULL), SF_ERROR_ARGUMENT, "needed");
    ck_fails(ctx, sf_tensors_add(set, NULL, new_scalar(3)), SF_ERROR_ARGUMENT, "needed");
    ck_assert_int_eq(sf_tensors_count(set), 1);
    ck_assert_double_eq(sf_tensor_get(sf_tensors_find(set, "x"), 0), 1);
    sf_tensors_free(set);
}
END_TEST

static int n_released;

static void count_release(void *memory, size_t bytes) {
    ck_assert_str_eq(memory, "mapping");
    ck_assert_uint_eq(bytes, 8);
    n_released++;
}

START_TEST(sets_keep_metadata_skipped_names_and_mappings) {
    sf_tensors *set;
    const char *key, *value;
    char memory[] = "mapping";
    n_released = 0;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    ck_ok(ctx, sf_tensors_set_metadata(set, "format", "pt"));
    ck_ok(ctx, sf_tensors_set_metadata(set, "other", "1"));
    ck_ok(ctx, sf_tensors_set_metadata(set, "format", "np"));
    ck_assert_int_eq(sf_tensors_metadata_count(set), 2);
    ck_assert_str_eq(sf_tensors_metadata(set, "format"), "np");
    ck_assert_ptr_null(sf_tensors_metadata(set, "absent"));
    sf_tensors_metadata_at(set, 1, &key, &value);
    ck_assert_str_eq(key, "other");
    ck_assert_str_eq(value, "1");
    ck_ok(ctx, sf_tensors_add_skipped(set, "w", "F8_E4M3"));
    ck_assert_str_eq(sf_tensors_skipped(set, "w"), "F8_E4M3");
    ck_assert_ptr_null(sf_tensors_skipped(set, "v"));
    ck_assert_ptr_null(sf_tensors_find(set, "w"));
    ck_ok(ctx, sf_tensors_adopt_mapping(set, memory, sizeof memory, count_release, NULL));
    ck_ok(ctx, sf_tensors_adopt_mapping(set, memory, sizeof memory, count_release, NULL));
    sf_tensors_free(set);
    ck_assert_int_eq(n_released, 2);
}
END_TEST

/* ---- pages ---- */

static struct {
    int n;
    char *memory;
    size_t bytes;
    bool wanted;
} advised;

static void note_advice(void *memory, size_t bytes, bool wanted) {
    advised.n++;
    advised.memory = memory;
    advised.bytes = bytes;
    advised.wanted = wanted;
}

static void forget(void *memory, size_t bytes) {
    (void)memory;
    (void)bytes;
}

START_TEST(advice_covers_whole_windows_of_the_mapping) {
    const size_t window = SF_PAGES_AROUND;
    char *memory = (char *)(16 * window); /* nothing looks at it */
    const struct {
        size_t begin, bytes; /* of the data */
        size_t from, to;     /* of what is advised */
    } ranges[] = {
        {0, 1, 0, window},
        {window - 1, 2, 0, 2 * window},
        {window, window, window, 2 * window},
        {3 * window + 5, window, 3 * window, 5 * window},
        {5 * window, window / 2 + 100, 5 * window, 5 * window + window / 2 + 100},
    };
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    ck_ok(ctx, sf_tensors_adopt_mapping(set, memory, 5 * window + window / 2 + 100, forget,
                                        note_advice));
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        advised.n = 0;
        ck_assert(sf_tensors_is_mapped(set, memory + ranges[i].begin, ranges[i].bytes));
        sf_tensors_advise(set, memory + ranges[i].begin, ranges[i].bytes, i % 2);
        ck_assert_int_eq(advised.n, 1);
        ck_assert_ptr_eq(advised.memory, memory + ranges[i].from);
        ck_assert_uint_eq(advised.bytes, ranges[i].to - ranges[i].from);
        ck_assert_int_eq(advised.wanted, i % 2);
    }
    advised.n = 0;
    sf_tensors_release_pages(set);
    ck_assert_ptr_eq(advised.memory, memory);
    ck_assert_uint_eq(advised.bytes, 5 * window + window / 2 + 100);
    ck_assert(!advised.wanted);
    sf_tensors_free(set);
}
END_TEST

/* Memory that is no mapping, or one that takes no advice, keeps its pages. */
START_TEST(what_is_not_mapped_gets_no_advice) {
    static char memory[102], other[100];
    char *mapped = memory + 1;
    sf_tensors *set;
    advised.n = 0;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    ck_ok(ctx, sf_tensors_adopt_mapping(set, mapped, 100, forget, note_advice));
    ck_ok(ctx, sf_tensors_adopt_mapping(set, other, sizeof other, forget, NULL));
    const struct {
        const char *data;
        size_t bytes;
    } ranges[] = {{other, 4}, {mapped + 97, 4}, {mapped, 101}, {mapped - 1, 4}, {NULL, 4}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        ck_assert(!sf_tensors_is_mapped(set, ranges[i].data, ranges[i].bytes));
        sf_tensors_advise(set, ranges[i].data, ranges[i].bytes, false);
    }
    sf_tensors_advise(NULL, mapped, 4, false);
    sf_tensors_release_pages(NULL);
    ck_assert_int_eq(advised.n, 0);
    sf_tensors_free(set);
}
END_TEST

static sf_status fill_set(sf_context *failing, void *user) {
    sf_tensors *set;
    sf_tensor *tensor;
    sf_status status;
    (void)user;
    SF_TRY(sf_tensors_new(failing, &set));
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", i);
        SF_TRY_OUT(sf_tensor_new(failing, SF_BF16, 1, (int64_t[]){4}, &tensor));
        SF_TRY_OUT(sf_tensors_add(set, name, tensor));
    }
    SF_TRY_OUT(sf_tensors_set_metadata(set, "a", "b"));
    SF_TRY_OUT(sf_tensors_set_metadata(set, "a", "c"));
    SF_TRY_OUT(sf_tensors_add_skipped(set, "a", "BOOL"));
    SF_TRY_OUT(sf_tensor_to_f32(failing, sf_tensors_at(set, 3), &tensor));
    sf_tensor_free(tensor);
out:
    sf_tensors_free(set);
    return status;
}

START_TEST(every_allocation_may_fail) {
    check_each_allocation(fill_set, NULL, 0);
}
END_TEST

Suite *suite_core_tensor(void) {
    Suite *suite = suite_create("core/tensor");
    TCase *tcase = tcase_create("tensor");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_new_tensor_is_zeroed_and_knows_its_shape);
    tcase_add_test(tcase, scalars_and_empty_tensors);
    tcase_add_test(tcase, impossible_shapes_are_refused);
    tcase_add_test(tcase, more_memory_than_there_is_is_an_error);
    tcase_add_test(tcase, shape_text_fits_the_longest_shape);
    tcase_add_test(tcase, elements_read_as_double_and_f32);
    tcase_add_test(tcase, sets_keep_the_order_and_find_by_name);
    tcase_add_test(tcase, a_name_can_be_taken_once);
    tcase_add_test(tcase, sets_keep_metadata_skipped_names_and_mappings);
    tcase_add_test(tcase, every_allocation_may_fail);
    tcase_add_test(tcase, advice_covers_whole_windows_of_the_mapping);
    tcase_add_test(tcase, what_is_not_mapped_gets_no_advice);
    suite_add_tcase(suite, tcase);
    return suite;
}
