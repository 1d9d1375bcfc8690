/*
 * The CLIP tokenizer against transformers' CLIPTokenizer (tests/oracle/make_tokenizer_goldens.py),
 * and what it does with files that are wrong.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "models/tokenizer.h"
#include "tests/support/support.h"

Suite *suite_models_tokenizer(void);

#define MAX_IDS  1024
#define SENTINEL INT64_C(-7777)

static sf_context *ctx;
static sf_tokenizer *tokenizer;
static int64_t ids[MAX_IDS];

static void setup(void) {
    ctx = test_context();
    tokenizer = NULL;
}

static void teardown(void) {
    sf_tokenizer_free(tokenizer);
    test_context_free(ctx);
}

/* ---- goldens ------------------------------------------------------------------------------------
 */

/* The text of a case, from "text" or "hex"; freed with free(). */
static char *case_text(const json_t *golden) {
    const char *text = json_string_value(json_object_get(golden, "text"));
    if (text)
        return strdup(text);
    const char *hex = json_string_value(json_object_get(golden, "hex"));
    ck_assert_ptr_nonnull(hex);
    char *bytes = calloc(strlen(hex) / 2 + 1, 1);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < strlen(hex) / 2; i++)
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2hhx", (unsigned char *)&bytes[i]), 1);
    return bytes;
}

static void check_case(const json_t *golden, int64_t padding, size_t index) {
    const json_t *wanted = json_object_get(golden, "ids");
    int max_length = sf_tokenizer_max_length(tokenizer), n_used = -1;
    char *text = case_text(golden);
    for (int i = 0; i < MAX_IDS; i++)
        ids[i] = SENTINEL;
    ck_ok(ctx, sf_tokenizer_encode(tokenizer, text, 1, ids, &n_used));
    ck_assert_msg(n_used == (int)json_array_size(wanted), "case %zu \"%.60s\": %d ids, not %zu",
                  index, text, n_used, json_array_size(wanted));
    for (int i = 0; i < max_length; i++) {
        int64_t id = i < n_used ? json_integer_value(json_array_get(wanted, (size_t)i)) : padding;
        ck_assert_msg(ids[i] == id, "case %zu \"%.60s\": id %d is %lld, not %lld", index, text, i,
                      (long long)ids[i], (long long)id);
    }
    ck_assert_int_eq(ids[max_length], SENTINEL);
    free(text);
}

/* golden: {"max_length": ..., "padding": ..., "cases": [...]}. Returns how many were checked. */
static size_t check_cases(const json_t *golden) {
    const json_t *cases = json_object_get(golden, "cases");
    ck_assert_int_eq(sf_tokenizer_max_length(tokenizer),
                     json_integer_value(json_object_get(golden, "max_length")));
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(json_array_get(cases, i), json_integer_value(json_object_get(golden, "padding")),
                   i);
    return json_array_size(cases);
}

static json_t *load_golden(const char *name) {
    char *text;
    size_t size;
    json_t *root = NULL;
    ck_ok(ctx, sf_file_read(ctx, test_data(name), SIZE_MAX - 1, &text, &size));
    ck_ok(ctx, sf_json_parse(ctx, name, text, size, 0, &root));
    sf_free(ctx, text);
    return root;
}

/* The emoji model's words, as sources to which a test adds its own files. */
static sf_tokenizer_source emoji[SF_TOKENIZER_N_FILES];

static void read_emoji(void) {
    static const sf_tokenizer_file files[] = {SF_TOKENIZER_VOCAB, SF_TOKENIZER_MERGES};
    memset(emoji, 0, sizeof emoji);
    for (size_t i = 0; i < 2; i++) {
        char path[64], *data;
        snprintf(path, sizeof path, "tokenizer/%s", sf_tokenizer_file_names[files[i]]);
        ck_ok(ctx, sf_file_read(ctx, test_model(path), SIZE_MAX - 1, &data, &emoji[files[i]].size));
        emoji[files[i]].data = data;
    }
}

static void free_emoji(void) {
    sf_free(ctx, (char *)emoji[SF_TOKENIZER_VOCAB].data);
    sf_free(ctx, (char *)emoji[SF_TOKENIZER_MERGES].data);
}

static sf_tokenizer_source text_source(const char *text) {
    return (sf_tokenizer_source){.data = text, .size = strlen(text)};
}

START_TEST(the_emoji_model_agrees_with_transformers) {
    json_t *golden = load_golden("tokenizer/emoji.json");
    ck_ok(ctx, sf_tokenizer_load(ctx, test_model("tokenizer"), &tokenizer));
    ck_assert_uint_gt(check_cases(json_object_get(golden, "own")), 80);
    json_decref(golden);
}
END_TEST

START_TEST(long_sequences_and_random_texts_agree_with_transformers) {
    json_t *golden = load_golden("tokenizer/emoji.json");
    read_emoji();
    emoji[SF_TOKENIZER_CONFIG] = text_source("{\"model_max_length\": 512}");
    ck_ok(ctx, sf_tokenizer_load_memory(ctx, "emoji", emoji, &tokenizer));
    ck_assert_uint_gt(check_cases(json_object_get(golden, "long")), 280);
    free_emoji();
    json_decref(golden);
}
END_TEST

START_TEST(the_words_of_clip_agree_with_transformers) {
    json_t *golden = load_golden("tokenizer/clip.json");
    ck_ok(ctx, sf_tokenizer_load(ctx, test_data("tokenizer/clip"), &tokenizer));
    ck_assert_uint_gt(check_cases(golden), 140);
    json_decref(golden);
}
END_TEST

START_TEST(special_tokens_agree_with_transformers) {
    json_t *golden = load_golden("tokenizer/variants.json");
    ck_assert_uint_gt(json_array_size(golden), 5);
    for (size_t i = 0; i < json_array_size(golden); i++) {
        const json_t *variant = json_array_get(golden, i);
        const json_t *files = json_object_get(variant, "files");
        read_emoji();
        for (int file = 0; file < SF_TOKENIZER_N_FILES; file++) {
            const char *text =
                json_string_value(json_object_get(files, sf_tokenizer_file_names[file]));
            if (text)
                emoji[file] = text_source(text);
        }
        ck_ok(ctx,
              sf_tokenizer_load_memory(ctx, json_string_value(json_object_get(variant, "name")),
                                       emoji, &tokenizer));
        ck_assert_uint_gt(check_cases(variant), 10);
        sf_tokenizer_free(tokenizer);
        tokenizer = NULL;
        free_emoji();
    }
    json_decref(golden);
}
END_TEST

/* ---- tokenizer.json -----------------------------------------------------------------------------
 */

/* merges.txt as a list of "left right" or of ["left", "right"]. */
static json_t *merges_list(char *text, bool pairs) {
    json_t *list = json_array();
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *space = strchr(line, ' ');
        if (line[0] == '#' && line[1] == 'v')
            continue;
        ck_assert_ptr_nonnull(space);
        if (pairs)
            json_array_append_new(list,
                                  json_pack("[s%, s]", line, (size_t)(space - line), space + 1));
        else
            json_array_append_new(list, json_string(line));
    }
    return list;
}

static json_t *whole_file(bool pairs) {
    read_emoji();
    json_t *vocabulary = NULL;
    ck_ok(ctx, sf_json_parse(ctx, "vocab", emoji[SF_TOKENIZER_VOCAB].data,
                             emoji[SF_TOKENIZER_VOCAB].size, 0, &vocabulary));
    json_t *merges = merges_list((char *)emoji[SF_TOKENIZER_MERGES].data, pairs);
    free_emoji();
    json_t *root = json_pack(
        "{s:[{s:i,s:s,s:b,s:b},{s:i,s:s,s:b,s:b}],s:{s:s,s:[{s:s},{s:s}]},s:{s:s,s:[{s:s},{s:s}]},"
        "s:{s:s,s:s,s:o,s:o}}",
        "added_tokens", "id", 2046, "content", "<|startoftext|>", "special", 1, "normalized", 0,
        "id", 2047, "content", "<|endoftext|>", "special", 1, "normalized", 0, "normalizer", "type",
        "Sequence", "normalizers", "type", "NFC", "type", "Lowercase", "pre_tokenizer", "type",
        "Sequence", "pretokenizers", "type", "Split", "type", "ByteLevel", "model", "type", "BPE",
        "end_of_word_suffix", "</w>", "vocab", vocabulary, "merges", merges);
    ck_assert_ptr_nonnull(root);
    return root;
}

START_TEST(one_file_does_for_two) {
    json_t *golden = load_golden("tokenizer/emoji.json");
    json_t *root = whole_file(_i != 0);
    char *text = json_dumps(root, 0);
    sf_tokenizer_source sources[SF_TOKENIZER_N_FILES] = {
        [SF_TOKENIZER_JSON] = text_source(text),
        [SF_TOKENIZER_CONFIG] = text_source("{\"model_max_length\": 512}"),
        /* Not looked at: tokenizer.json goes first. */
        [SF_TOKENIZER_VOCAB] = text_source("{"),
        [SF_TOKENIZER_MERGES] = text_source("nothing"),
    };
    ck_ok(ctx, sf_tokenizer_load_memory(ctx, "whole", sources, &tokenizer));
    ck_assert_uint_gt(check_cases(json_object_get(golden, "long")), 280);
    free(text);
    json_decref(root);
    json_decref(golden);
}
END_TEST

/* ---- size ---------------------------------------------------------------------------------------
 */

static const char *const long_units[] = {"a", "the", "!", "\u0301\u0323", "\uac00", "'s", "<|"};

START_TEST(a_long_word_takes_no_quadratic_time) {
    /* 0.05 s at most here; ten seconds leave room for valgrind, n * n steps would take minutes. */
    const char *unit = long_units[_i];
    size_t length = strlen(unit), count = 100000;
    char *text = malloc(count * length + 1);
    int n_used = 0;
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * length, unit, length);
    text[count * length] = '\0';
    ck_ok(ctx, sf_tokenizer_load(ctx, test_model("tokenizer"), &tokenizer));
    clock_t start = clock();
    ck_ok(ctx, sf_tokenizer_encode(tokenizer, text, 1, ids, &n_used));
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 10.0);
    ck_assert_int_eq(n_used, 32);
    free(text);
}
END_TEST

Suite *suite_models_tokenizer(void) {
    Suite *suite = suite_create("models/tokenizer");
    TCase *tcase = tcase_create("goldens");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_emoji_model_agrees_with_transformers);
    tcase_add_test(tcase, long_sequences_and_random_texts_agree_with_transformers);
    tcase_add_test(tcase, the_words_of_clip_agree_with_transformers);
    tcase_add_test(tcase, special_tokens_agree_with_transformers);
    tcase_add_loop_test(tcase, one_file_does_for_two, 0, 2);
    tcase_add_loop_test(tcase, a_long_word_takes_no_quadratic_time, 0,
                        (int)(sizeof long_units / sizeof *long_units));
    suite_add_tcase(suite, tcase);
    return suite;
}
