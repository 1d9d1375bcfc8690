/* safetensors: what is refused and why, what is read, shards, and round trips. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/memory.h"
#include "tests/support/failing.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_io_safetensors(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
    scratch_setup();
}

static void teardown(void) {
    scratch_teardown();
    test_context_free(ctx);
}

/* A file's bytes: the header's length, the header, n zero bytes. The caller frees. */
static char *make_file(const char *header, size_t data_bytes, size_t *size) {
    size_t length = strlen(header);
    *size = 8 + length + data_bytes;
    char *file = calloc(1, *size);
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 8; i++)
        file[i] = (char)((uint64_t)length >> (8 * i));
    memcpy(file + 8, header, length);
    return file;
}

static sf_status parse(const char *file, size_t size, sf_tensors **set) {
    ck_ok(ctx, sf_tensors_new(ctx, set));
    sf_status status = sf_safetensors_parse(ctx, "t.safetensors", file, size, *set);
    if (status != SF_OK)
        sf_tensors_free(*set);
    return status;
}

#define T(type, shape, offsets)                                                                    \
    "{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static const struct {
    const char *header;
    size_t data_bytes;
    const char *message;
} malformed[] = {
    {"", 0, "does not begin with '{'"},
    {"[1]", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"{", 0, "t.safetensors:1:1: not JSON"},
    {"{}x", 0, "end of file expected"},
    {"{\"a\":1}", 0, "tensor 'a': not an object"},
    {"{\"a\":" T("F32", "1", "0,4") ",\"a\":" T("F32", "1", "4,8") "}", 8, "duplicate object key"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor 'a': no dtype"},
    {"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype, or not a string"},
    {"{\"a\":" T("F33", "1", "0,4") "}", 4, "tensor 'a': unknown dtype 'F33'"},
    {"{\"a\":" T("f32", "1", "0,4") "}", 4, "unknown dtype 'f32'"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4,
     "no shape, or not a list"},
    {"{\"a\":" T("F32", "-1", "0,4") "}", 4, "not a non-negative integer"},
    {"{\"a\":" T("F32", "1.0", "0,4") "}", 4, "not a non-negative integer"},
    {"{\"a\":" T("F32", "true", "0,4") "}", 4, "not a non-negative integer"},
    {"{\"a\":" T("F32", "Infinity", "0,4") "}", 4, "not a non-negative integer"},
    {"{\"a\":" T("F32", "1,1,1,1,1,1", "0,4") "}", 4, "6 dimensions; at most 5"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no data_offsets"},
    {"{\"a\":" T("F32", "1", "0") "}", 4, "no data_offsets, or not two"},
    {"{\"a\":" T("F32", "1", "0,4,8") "}", 4, "no data_offsets, or not two"},
    {"{\"a\":" T("F32", "1", "0,\\\"4\\\"") "}", 4, "not JSON"},
    {"{\"a\":" T("F32", "1", "0,4.0") "}", 4, "no data_offsets, or not two"},
    {"{\"a\":" T("F32", "1", "-4,0") "}", 4, "no data_offsets, or not two"},
    {"{\"a\":" T("F32", "1", "4,0") "}", 4, "data_offsets 4 to 0 are reversed"},
    {"{\"a\":" T("F32", "1", "0,4") "}", 3, "0 to 4 run past the file's 3 data bytes"},
    {"{\"a\":" T("F32", "1", "9223372036854775803,9223372036854775807") "}", 4, "run past"},
    {"{\"a\":" T("F32", "1", "0,9223372036854775808") "}", 4, "too big integer"},
    {"{\"a\":" T("F32", "2", "0,4") "}", 4, "span 4 bytes, which do not fit [2] of F32"},
    {"{\"a\":" T("F16", "1", "0,4") "}", 4, "span 4 bytes, which do not fit [1] of F16"},
    {"{\"a\":" T("F32", "0", "0,4") "}", 4, "do not fit [0] of F32"},
    {"{\"a\":" T("F4", "3", "0,1") "}", 1, "do not fit [3] of F4"},
    {"{\"a\":" T("F32", "1152921504606846976,1152921504606846976", "0,0") "}", 0,
     "tensor 'a': shape: shape [1152921504606846976, 1152921504606846976] of u8 is too large"},
    {"{\"a\":" T("F64", "1152921504606846976", "0,0") "}", 0, "do not fit [1152921504606846976]"},
    {"{\"a\":" T("F32", "1", "0,4") ",\"b\":" T("F32", "1", "0,4") "}", 4, "'a' and 'b' overlap"},
    {"{\"a\":" T("F32", "2", "0,8") ",\"b\":" T("F32", "2", "4,12") "}", 12, "overlap"},
    {"{\"a\":" T("F32", "2", "0,8") ",\"b\":" T("F32", "0", "4,4") "}", 8, "overlap"},
    {"{\"a\":" T("F32", "1", "4,8") "}", 8, "4 bytes before tensor 'a' belong to none"},
    {"{\"a\":" T("F32", "1", "0,4") ",\"b\":" T("F32", "1", "8,12") "}", 12,
     "4 bytes before tensor 'b' belong to none"},
    {"{\"a\":" T("F32", "1", "0,4") "}", 5, "the last 1 bytes belong to no tensor"},
    {"{}", 1, "the last 1 bytes belong to no tensor"},
    {"{\"__metadata__\":1}", 0, "__metadata__ is not an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: 'k' is not a string"},
    {"{\"__metadata__\":{\"k\":\"\\u0000\"}}", 0, "\\u0000 is not allowed"},
};

START_TEST(malformed_headers_are_refused) {
    size_t size;
    sf_tensors *set;
    char *file = make_file(malformed[_i].header, malformed[_i].data_bytes, &size);
    ck_fails(ctx, parse(file, size, &set), SF_ERROR_FORMAT, malformed[_i].message);
    ck_assert_msg(strstr(sf_error_message(ctx), "t.safetensors"), "%s", sf_error_message(ctx));
    free(file);
}
END_TEST

START_TEST(lengths_are_checked) {
    sf_tensors *set;
    char file[16] = "\xff\xff\xff\xff\xff\xff\xff\xff{}";
    ck_fails(ctx, parse("", 0, &set), SF_ERROR_FORMAT, "too short for safetensors: 0 bytes");
    ck_fails(ctx, parse(file, 7, &set), SF_ERROR_FORMAT, "too short for safetensors: 7 bytes");
    ck_fails(ctx, parse(file, 16, &set), SF_ERROR_FORMAT,
             "a header of 18446744073709551615 bytes; at most 100000000");
    memcpy(file, "\x01\xe1\xf5\x05\0\0\0\0", 8); /* 100,000,001 */
    ck_fails(ctx, parse(file, 16, &set), SF_ERROR_FORMAT, "a header of 100000001 bytes; at most");
    memcpy(file, "\x09\0\0\0\0\0\0\0", 8);
    ck_fails(ctx, parse(file, 16, &set), SF_ERROR_FORMAT,
             "a header of 9 bytes runs past the file's 16 bytes");
    memcpy(file, "\x02\0\0\0\0\0\0\0", 8);
    ck_ok(ctx, parse(file, 10, &set));
    ck_assert_int_eq(sf_tensors_count(set), 0);
    sf_tensors_free(set);
}
END_TEST

/* What tests/oracle/make_io_goldens.py writes: 0..23 in every type, shaped [2, 3, 4]. */
static void check_all_types(const sf_tensors *set) {
    static const struct {
        const char *name;
        sf_dtype dtype;
    } types[] = {{"f32", SF_F32}, {"f16", SF_F16}, {"bf16", SF_BF16},
                 {"i32", SF_I32}, {"i64", SF_I64}, {"u8", SF_U8}};
    ck_assert_int_eq(sf_tensors_count(set), 8);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const sf_tensor *tensor = sf_tensors_find(set, types[i].name);
        ck_assert_msg(tensor != NULL, "%s", types[i].name);
        ck_assert_int_eq(sf_tensor_dtype(tensor), types[i].dtype);
        ck_assert_int_eq(sf_tensor_n_dims(tensor), 3);
        ck_assert_int_eq(sf_tensor_dims(tensor)[1], 3);
        ck_assert_uint_eq((uintptr_t)sf_tensor_const_data(tensor) %
                              (uintptr_t)sf_dtype_get(types[i].dtype)->block_bytes,
                          0);
        for (int k = 0; k < 24; k++)
            ck_assert_double_eq(sf_tensor_get(tensor, k), k);
    }
    const sf_tensor *scalar = sf_tensors_find(set, "scalar"),
                    *empty = sf_tensors_find(set, "empty");
    ck_assert_int_eq(sf_tensor_n_dims(scalar), 0);
    ck_assert_double_eq(sf_tensor_get(scalar, 0), 2.5);
    ck_assert_int_eq(sf_tensor_n_elements(empty), 0);
    ck_assert_int_eq(sf_tensor_dims(empty)[1], 3);
    ck_assert_str_eq(sf_tensors_metadata(set, "format"), "pt");
    ck_assert_str_eq(sf_tensors_metadata(set, "note"), "caf\xc3\xa9 \"x\"");
}

START_TEST(the_reference_implementations_file_is_read) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_load(ctx, test_data("io/all_types.safetensors"), &set));
    check_all_types(set);
    for (int i = 0; i < sf_tensors_count(set); i++)
        ck_assert(!sf_tensors_at(set, i)->owns_data);
    sf_tensors_free(set);
}
END_TEST

START_TEST(what_is_saved_is_loaded_again) {
    sf_tensors *set, *again;
    ck_ok(ctx, sf_tensors_load(ctx, test_data("io/all_types.safetensors"), &set));
    ck_ok(ctx, sf_tensors_save(set, scratch("out.safetensors")));
    ck_ok(ctx, sf_tensors_load(ctx, scratch("out.safetensors"), &again));
    check_all_types(again);
    for (int i = 0; i < sf_tensors_count(again); i++)
        ck_assert(!sf_tensors_at(again, i)->owns_data);
    /* Onto the file that the tensors are mapped from. */
    ck_ok(ctx, sf_tensors_save(again, scratch("out.safetensors")));
    check_all_types(again);
    sf_tensors_free(again);
    ck_ok(ctx, sf_tensors_load_headers(ctx, scratch("out.safetensors"), &again));
    check_all_types(again);
    sf_tensors_free(again);
    sf_tensors_free(set);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(an_empty_set_is_a_file_too) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    ck_ok(ctx, sf_tensors_save(set, scratch("e.safetensors")));
    sf_tensors_free(set);
    ck_ok(ctx, sf_tensors_load(ctx, scratch("e.safetensors"), &set));
    ck_assert_int_eq(sf_tensors_count(set), 0);
    sf_tensors_free(set);
}
END_TEST

START_TEST(awkward_names_come_back) {
    static const char *const names[] = {"", "{", "a\"b\\", "\n\t\x01", "\xe8\xb5\xa4", "a/../b"};
    enum { N = sizeof names / sizeof *names };
    sf_tensors *set;
    sf_tensor *tensor;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    for (int i = 0; i < N; i++) {
        ck_ok(ctx, sf_tensor_new(ctx, SF_U8, 1, (int64_t[]){i}, &tensor));
        ck_ok(ctx, sf_tensors_add(set, names[i], tensor));
        ck_ok(ctx, sf_tensors_set_metadata(set, names[i], names[N - 1 - i]));
    }
    ck_ok(ctx, sf_tensors_save(set, scratch("n.safetensors")));
    sf_tensors_free(set);
    ck_ok(ctx, sf_tensors_load(ctx, scratch("n.safetensors"), &set));
    ck_assert_int_eq(sf_tensors_count(set), N);
    for (int i = 0; i < N; i++) {
        ck_assert_ptr_nonnull(sf_tensors_find(set, names[i]));
        ck_assert_int_eq(sf_tensor_n_elements(sf_tensors_find(set, names[i])), i);
        ck_assert_str_eq(sf_tensors_metadata(set, names[i]), names[N - 1 - i]);
    }
    sf_tensors_free(set);
}
END_TEST

START_TEST(what_readers_would_refuse_is_not_written) {
    static const char *const names[] = {"__metadata__", "\xff"};
    for (int i = 0; i < 2; i++) {
        sf_tensors *set;
        sf_tensor *tensor;
        ck_ok(ctx, sf_tensors_new(ctx, &set));
        ck_ok(ctx, sf_tensor_new(ctx, SF_U8, 0, NULL, &tensor));
        ck_ok(ctx, sf_tensors_add(set, names[i], tensor));
        ck_fails(ctx, sf_tensors_save(set, scratch("x")), SF_ERROR_ARGUMENT,
                 i ? "is not UTF-8" : "can't be named '__metadata__'");
        sf_tensors_free(set);
    }
    ck_assert_int_eq(scratch_count(), 0);
}
END_TEST

START_TEST(unwritable_places_are_reported) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_load(ctx, test_data("io/all_types.safetensors"), &set));
    ck_fails(ctx, sf_tensors_save(set, "/dev/full"), SF_ERROR_IO, "No space left on device");
    ck_fails(ctx, sf_tensors_save(set, scratch("no/x")), SF_ERROR_IO, "No such file");
    ck_fails(ctx, sf_tensors_save(set, scratch("")), SF_ERROR_IO, "Is a directory");
    sf_tensors_free(set);
    ck_assert_int_eq(scratch_count(), 0);
}
END_TEST

START_TEST(misaligned_tensors_are_copied) {
    size_t size;
    sf_tensors *set;
    static const char header[] = "{\"a\":" T("U8", "1", "0,1") ",\"b\":" T("F32", "2", "1,9") "}";
    char *file = make_file(header, 9, &size);
    float values[2] = {1.5f, -2};
    memcpy(file + size - 8, values, 8);
    ck_ok(ctx, parse(file, size, &set));
    const sf_tensor *b = sf_tensors_find(set, "b");
    /* Either the whole file or its data starts at an odd place for floats: at most one is borrowed. */
    ck_assert_uint_eq((uintptr_t)b->data % 4, 0);
    ck_assert_int_eq(b->owns_data, ((uintptr_t)(file + size - 8)) % 4 != 0);
    ck_assert_double_eq(sf_tensor_get(b, 1), -2);
    sf_tensors_free(set);
    free(file);
}
END_TEST

START_TEST(other_types_are_left_out_and_named) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_load(ctx, test_data("io/other_types.safetensors"), &set));
    ck_assert_int_eq(sf_tensors_count(set), 1);
    ck_assert_double_eq(sf_tensor_get(sf_tensors_find(set, "weight"), 3), 3);
    ck_assert_str_eq(sf_tensors_skipped(set, "f64"), "F64");
    ck_assert_str_eq(sf_tensors_skipped(set, "f8"), "F8_E4M3");
    ck_assert_str_eq(sf_tensors_skipped(set, "flag"), "BOOL");
    ck_assert_ptr_null(sf_tensors_find(set, "f64"));
    sf_tensors_free(set);
}
END_TEST

START_TEST(the_models_weights_load) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_load(ctx, test_model("unet/diffusion_pytorch_model.safetensors"), &set));
    const sf_tensor *weight = sf_tensors_find(set, "conv_in.weight");
    ck_assert_ptr_nonnull(weight);
    ck_assert_int_eq(sf_tensor_dims(weight)[0], 48);
    ck_assert_int_eq(sf_tensor_dims(weight)[1], 4);
    sf_tensors_free(set);
}
END_TEST

/* A small sound file's bytes, from the golden. */
static char *read_golden(size_t *size) {
    char *file;
    ck_ok(ctx, sf_file_read(ctx, test_data("io/all_types.safetensors"), 10000, &file, size));
    return file;
}

START_TEST(truncated_anywhere_it_is_refused) {
    size_t size;
    sf_tensors *set;
    char *file = read_golden(&size);
    for (size_t length = 0; length < size; length++) {
        char *exact = malloc(length ? length : 1); /* so that a read past it is seen */
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, file, length);
        ck_assert_msg(parse(exact, length, &set) == SF_ERROR_FORMAT, "%zu bytes", length);
        free(exact);
    }
    sf_free(ctx, file);
}
END_TEST

START_TEST(with_any_bit_flipped_it_is_refused_or_sound) {
    size_t size;
    sf_tensors *set;
    char *file = read_golden(&size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        file[bit / 8] ^= (char)(1 << bit % 8);
        if (parse(file, size, &set) == SF_OK) {
            for (int i = 0; i < sf_tensors_count(set); i++) {
                sf_tensor *converted;
                ck_ok(ctx, sf_tensor_to_f32(ctx, sf_tensors_at(set, i), &converted));
                sf_tensor_free(converted);
            }
            sf_tensors_free(set);
        } else {
            ck_assert_msg(*sf_error_message(ctx) != '\0', "bit %zu", bit);
        }
        file[bit / 8] ^= (char)(1 << bit % 8);
    }
    sf_free(ctx, file);
}
END_TEST

START_TEST(shards_make_one_set) {
    sf_tensors *set;
    ck_ok(ctx, sf_tensors_load(ctx, test_data("io/model.safetensors.index.json"), &set));
    ck_assert_int_eq(sf_tensors_count(set), 3);
    ck_assert_double_eq(sf_tensor_get(sf_tensors_find(set, "a.bias"), 3), 1);
    ck_assert_double_eq(sf_tensor_get(sf_tensors_find(set, "b.weight"), 0), 2);
    sf_tensors_free(set);
}
END_TEST

static void save_one(const char *file, const char *name) {
    sf_tensors *set;
    sf_tensor *tensor;
    ck_ok(ctx, sf_tensors_new(ctx, &set));
    ck_ok(ctx, sf_tensor_new(ctx, SF_F32, 1, (int64_t[]){2}, &tensor));
    ck_ok(ctx, sf_tensors_add(set, name, tensor));
    ck_ok(ctx, sf_tensors_save(set, scratch(file)));
    sf_tensors_free(set);
}

static const struct {
    const char *index;
    sf_status status;
    const char *message;
} malformed_indices[] = {
    {"{}", SF_ERROR_FORMAT, "x.index.json: no weight_map"},
    {"{\"weight_map\": []}", SF_ERROR_FORMAT, "no weight_map, or not an object"},
    {"{\"weight_map\": {\"a\": 1}}", SF_ERROR_FORMAT, "the shard of 'a' is not a string"},
    {"{\"weight_map\": {\"a\": \"../a.st\"}}", SF_ERROR_FORMAT,
     "the shard '../a.st' of 'a' is not a plain file name"},
    {"{\"weight_map\": {\"a\": \"..\"}}", SF_ERROR_FORMAT, "not a plain file name"},
    {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", SF_ERROR_FORMAT, "not a plain file name"},
    {"{\"weight_map\": {\"a\": \"\"}}", SF_ERROR_FORMAT, "not a plain file name"},
    {"{\"weight_map\": {\"a\": \"none.st\"}}", SF_ERROR_IO, "none.st: can't be opened"},
    {"{\"weight_map\": {\"a\": \"a.st\", \"c\": \"a.st\"}}", SF_ERROR_FORMAT,
     "tensor 'c' is not in its shard 'a.st'"},
    {"{\"weight_map\": {\"a\": \"a.st\", \"b\": \"a.st\", \"x\": \"b.st\"}}", SF_ERROR_FORMAT,
     "tensor 'b' is not in its shard 'a.st'"},
    {"{\"weight_map\": {\"a\": \"a.st\", \"b\": \"b.st\", \"c\": \"a2.st\"}}", SF_ERROR_FORMAT,
     "a2.st: tensor 'a': is in another file of this model too"},
    {"{\"weight_map\": {\"a\": \"x.index.json\"}}", SF_ERROR_FORMAT, "x.index.json: a header of"},
};

START_TEST(malformed_indices_are_refused) {
    sf_tensors *set;
    save_one("a.st", "a");
    save_one("a2.st", "a");
    save_one("b.st", "b");
    scratch_write("x.index.json", malformed_indices[_i].index, strlen(malformed_indices[_i].index));
    ck_fails(ctx, sf_tensors_load(ctx, scratch("x.index.json"), &set), malformed_indices[_i].status,
             malformed_indices[_i].message);
}
END_TEST

START_TEST(an_index_without_tensors_is_an_empty_set) {
    sf_tensors *set;
    scratch_write("x.index.json", "{\"weight_map\": {}}", 18);
    ck_ok(ctx, sf_tensors_load(ctx, scratch("x.index.json"), &set));
    ck_assert_int_eq(sf_tensors_count(set), 0);
    sf_tensors_free(set);
}
END_TEST

START_TEST(files_that_cannot_be_mapped_are_named) {
    sf_tensors *set;
    scratch_write("empty.safetensors", "", 0);
    ck_fails(ctx, sf_tensors_load(ctx, scratch("empty.safetensors"), &set), SF_ERROR_FORMAT,
             "empty.safetensors: too short for safetensors: 0 bytes");
    ck_fails(ctx, sf_tensors_load(ctx, scratch("none.safetensors"), &set), SF_ERROR_IO,
             "none.safetensors: can't be opened: No such file");
    ck_fails(ctx, sf_tensors_load(ctx, scratch("none.index.json"), &set), SF_ERROR_IO,
             "none.index.json: can't be opened");
}
END_TEST

static sf_status load_and_save(sf_context *failing, void *user) {
    sf_tensors *set;
    SF_TRY(sf_tensors_load(failing, user, &set));
    sf_status status = sf_tensors_save(set, scratch("out"));
    sf_tensors_free(set);
    return status;
}

static sf_status parse_misaligned(sf_context *failing, void *user) {
    static const char header[] = "{\"a\":" T("U8", "1", "0,1") ",\"b\":" T(
        "F32", "2", "1,9") ",\"c\":" T("BOOL", "0", "9,9") "}";
    size_t size;
    sf_tensors *set;
    (void)user;
    char *file = make_file(header, 9, &size);
    sf_status status = sf_tensors_new(failing, &set);
    if (status == SF_OK) {
        status = sf_safetensors_parse(failing, "t", file, size, set);
        sf_tensors_free(set);
    }
    free(file);
    return status;
}

START_TEST(every_allocation_may_fail) {
    check_each_allocation(load_and_save, (char *)test_data("io/all_types.safetensors"), 0);
    check_each_allocation(load_and_save, (char *)test_data("io/model.safetensors.index.json"), 0);
    check_each_allocation(parse_misaligned, NULL, 0);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

Suite *suite_io_safetensors(void) {
    Suite *suite = suite_create("io/safetensors");
    TCase *tcase = tcase_create("safetensors");
    tcase_set_timeout(tcase, 120); /* a parse for each of ten thousand bits, under valgrind too */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, malformed_headers_are_refused, 0,
                        (int)(sizeof malformed / sizeof *malformed));
    tcase_add_test(tcase, lengths_are_checked);
    tcase_add_test(tcase, the_reference_implementations_file_is_read);
    tcase_add_test(tcase, what_is_saved_is_loaded_again);
    tcase_add_test(tcase, an_empty_set_is_a_file_too);
    tcase_add_test(tcase, awkward_names_come_back);
    tcase_add_test(tcase, what_readers_would_refuse_is_not_written);
    tcase_add_test(tcase, unwritable_places_are_reported);
    tcase_add_test(tcase, misaligned_tensors_are_copied);
    tcase_add_test(tcase, other_types_are_left_out_and_named);
    tcase_add_test(tcase, the_models_weights_load);
    tcase_add_test(tcase, truncated_anywhere_it_is_refused);
    tcase_add_test(tcase, with_any_bit_flipped_it_is_refused_or_sound);
    tcase_add_test(tcase, shards_make_one_set);
    tcase_add_loop_test(tcase, malformed_indices_are_refused, 0,
                        (int)(sizeof malformed_indices / sizeof *malformed_indices));
    tcase_add_test(tcase, an_index_without_tensors_is_an_empty_set);
    tcase_add_test(tcase, files_that_cannot_be_mapped_are_named);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
