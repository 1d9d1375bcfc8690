/*
 * The tokenizer's files and folders: what is wrong with them is an error that names the file, and memory
 * that runs out leaks nothing. What right files give is in test_tokenizer.c.
 */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "models/tokenizer.h"
#include "tests/support/failing.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_models_tokenizer_files(void);

#define MAX_IDS  1024
#define SENTINEL INT64_C(-7777)

static sf_context *ctx;
static sf_tokenizer *tokenizer;
static int64_t ids[MAX_IDS];

static void setup(void) {
    ctx = test_context();
    tokenizer = NULL;
    for (int i = 0; i < MAX_IDS; i++)
        ids[i] = SENTINEL;
}

static void teardown(void) {
    sf_tokenizer_free(tokenizer);
    test_context_free(ctx);
}

static sf_tokenizer_source text_source(const char *text) {
    return (sf_tokenizer_source){.data = text, .size = strlen(text)};
}

/* ---- files that are wrong -----------------------------------------------------------------------
 */

#define VOCABULARY                                                                                 \
    "{\"a\":0,\"b\":1,\"a</w>\":2,\"b</w>\":3,\"ab</w>\":4,\"<|startoftext|>\":5,"                 \
    "\"<|endoftext|>\":6}"
#define MERGES "#version: 0.2\na b</w>\n"
#define MODEL  "\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":" VOCABULARY

static const struct wrong_file {
    sf_tokenizer_file file;
    const char *content; /* NULL: the file is not there */
    sf_status status;
    const char *message;
} wrong_files[] = {
    {SF_TOKENIZER_VOCAB, NULL, SF_ERROR_NOT_FOUND, "here/vocab.json: not there"},
    {SF_TOKENIZER_VOCAB, "", SF_ERROR_FORMAT, "here/vocab.json: not JSON"},
    {SF_TOKENIZER_VOCAB, "{", SF_ERROR_FORMAT, "here/vocab.json:1"},
    {SF_TOKENIZER_VOCAB, "[1]", SF_ERROR_FORMAT, "here/vocab.json: not a JSON object"},
    {SF_TOKENIZER_VOCAB, "{}", SF_ERROR_FORMAT, "here/vocab.json: the vocabulary is empty"},
    {SF_TOKENIZER_VOCAB, "{\"a\":\"0\"}", SF_ERROR_FORMAT, "the id of \"a\" is not a whole number"},
    {SF_TOKENIZER_VOCAB, "{\"a\":-1}", SF_ERROR_FORMAT, "the id of \"a\" is not a whole number"},
    {SF_TOKENIZER_VOCAB, "{\"a\":1.5}", SF_ERROR_FORMAT, "the id of \"a\" is not a whole number"},
    {SF_TOKENIZER_VOCAB, "{\"a\":16777216}", SF_ERROR_FORMAT, "from 0 to 16777215"},
    {SF_TOKENIZER_VOCAB, "{\"a\":99999999999}", SF_ERROR_FORMAT, "from 0 to 16777215"},
    {SF_TOKENIZER_VOCAB, "{\"a\":7,\"b\":7}", SF_ERROR_FORMAT, "the id 7 of \"b\" is another"},
    {SF_TOKENIZER_VOCAB, "{\"a\":0,\"b</w>\":3,\"ab</w>\":4,\"<|endoftext|>\":6}", SF_ERROR_FORMAT,
     "here: the bos_token \"<|startoftext|>\" is not in the vocabulary"},
    {SF_TOKENIZER_VOCAB, "{\"a\":0,\"b</w>\":3,\"ab</w>\":4,\"<|startoftext|>\":6}",
     SF_ERROR_FORMAT, "here: the eos_token \"<|endoftext|>\" is not in the vocabulary"},
    {SF_TOKENIZER_MERGES, NULL, SF_ERROR_NOT_FOUND, "here/merges.txt: not there"},
    {SF_TOKENIZER_MERGES, "a b</w>\na\n", SF_ERROR_FORMAT,
     "here/merges.txt: merge 2, \"a\", is not two pieces"},
    {SF_TOKENIZER_MERGES, "a b </w>", SF_ERROR_FORMAT, "merge 1, \"a b </w>\", is not two"},
    {SF_TOKENIZER_MERGES, "\n", SF_ERROR_FORMAT, "merge 1, \"\", is not two"},
    {SF_TOKENIZER_MERGES, "x b</w>", SF_ERROR_FORMAT, "merge 1: \"x\" is not in the vocabulary"},
    {SF_TOKENIZER_MERGES, "a x", SF_ERROR_FORMAT, "merge 1: \"x\" is not in the vocabulary"},
    {SF_TOKENIZER_MERGES, "b a</w>", SF_ERROR_FORMAT, "\"ba</w>\" is not in the vocabulary"},
    {SF_TOKENIZER_MERGES, "\xff b", SF_ERROR_FORMAT, "here/merges.txt: not UTF-8"},
    {SF_TOKENIZER_CONFIG, "{\"model_max_length\":1}", SF_ERROR_FORMAT,
     "here/tokenizer_config.json: model_max_length is 1, not a whole number from 2"},
    {SF_TOKENIZER_CONFIG, "{\"model_max_length\":-3}", SF_ERROR_FORMAT, "model_max_length is -3"},
    {SF_TOKENIZER_CONFIG, "{\"model_max_length\":77.5}", SF_ERROR_FORMAT, "is 77.5"},
    {SF_TOKENIZER_CONFIG, "{\"model_max_length\":1e9}", SF_ERROR_FORMAT, "from 2 to 1048576"},
    {SF_TOKENIZER_CONFIG, "{\"model_max_length\":NaN}", SF_ERROR_FORMAT, "model_max_length is"},
    {SF_TOKENIZER_CONFIG, "{\"model_max_length\":\"x\"}", SF_ERROR_FORMAT, "is not a number"},
    {SF_TOKENIZER_CONFIG, "{\"tokenizer_class\":\"T5Tokenizer\"}", SF_ERROR_UNSUPPORTED,
     "tokenizer_class is \"T5Tokenizer\""},
    {SF_TOKENIZER_CONFIG, "{\"padding_side\":\"left\"}", SF_ERROR_UNSUPPORTED, "padding_side"},
    {SF_TOKENIZER_CONFIG, "{\"truncation_side\":\"left\"}", SF_ERROR_UNSUPPORTED,
     "truncation_side is \"left\""},
    {SF_TOKENIZER_CONFIG, "{\"split_special_tokens\":3}", SF_ERROR_FORMAT, "true or false"},
    {SF_TOKENIZER_CONFIG, "{\"pad_token\":\"<pad>\"}", SF_ERROR_FORMAT,
     "here: the pad_token \"<pad>\" is not in the vocabulary"},
    {SF_TOKENIZER_CONFIG, "{\"pad_token\":\"\"}", SF_ERROR_FORMAT, "pad_token is empty"},
    {SF_TOKENIZER_CONFIG, "{\"pad_token\":7}", SF_ERROR_FORMAT, "pad_token is neither text"},
    {SF_TOKENIZER_CONFIG, "{\"pad_token\":{\"content\":7}}", SF_ERROR_FORMAT, "neither text"},
    {SF_TOKENIZER_CONFIG, "{\"pad_token\":{\"content\":\"a\",\"lstrip\":7}}", SF_ERROR_FORMAT,
     "lstrip is not true or false"},
    {SF_TOKENIZER_CONFIG, "{\"extra_special_tokens\":[7]}", SF_ERROR_FORMAT, "neither text"},
    {SF_TOKENIZER_CONFIG, "{\"additional_special_tokens\":7}", SF_ERROR_FORMAT, "is not a list"},
    {SF_TOKENIZER_CONFIG, "{\"added_tokens_decoder\":[]}", SF_ERROR_FORMAT, "is not an object"},
    {SF_TOKENIZER_CONFIG, "{\"added_tokens_decoder\":{\"x\":\"a\"}}", SF_ERROR_FORMAT,
     "added_tokens_decoder: \"x\" is no number"},
    {SF_TOKENIZER_CONFIG, "{\"added_tokens_decoder\":{\"-1\":\"a\"}}", SF_ERROR_FORMAT, "id -1"},
    {SF_TOKENIZER_CONFIG, "{\"added_tokens_decoder\":{\"99999999999999999999\":\"a\"}}",
     SF_ERROR_FORMAT, "not 0 to"},
    {SF_TOKENIZER_SPECIAL_TOKENS, "7", SF_ERROR_FORMAT, "here/special_tokens_map.json: not a JSON"},
    {SF_TOKENIZER_SPECIAL_TOKENS, "{\"eos_token\":[]}", SF_ERROR_FORMAT,
     "here/special_tokens_map.json: eos_token is neither text"},
    {SF_TOKENIZER_ADDED_TOKENS, "{\"x\":\"y\"}", SF_ERROR_FORMAT,
     "here/added_tokens.json: \"x\" has no whole number"},
    {SF_TOKENIZER_JSON, "{}", SF_ERROR_FORMAT, "here/tokenizer.json: no object \"model\""},
    {SF_TOKENIZER_JSON, "{\"model\":{\"type\":\"Unigram\"}}", SF_ERROR_UNSUPPORTED,
     "here/tokenizer.json: the model is of type Unigram; only CLIP's BPE"},
    {SF_TOKENIZER_JSON, "{\"model\":{\"type\":\"BPE\"}}", SF_ERROR_UNSUPPORTED,
     "not in \"</w>\": this is not a CLIP tokenizer"},
    {SF_TOKENIZER_JSON, "{" MODEL "}}", SF_ERROR_FORMAT, "model.merges is not a list"},
    {SF_TOKENIZER_JSON, "{" MODEL ",\"merges\":[7]}}", SF_ERROR_FORMAT, "merge 1 is neither"},
    {SF_TOKENIZER_JSON, "{" MODEL ",\"merges\":[\"ab\"]}}", SF_ERROR_FORMAT, "merge 1, \"ab\""},
    {SF_TOKENIZER_JSON, "{" MODEL ",\"merges\":[[\"a\",\"b</w>\",\"c\"]]}}", SF_ERROR_FORMAT,
     "merge 1 is neither text nor a pair"},
    {SF_TOKENIZER_JSON, "{" MODEL ",\"merges\":[[\"a\",\"c\"]]}}", SF_ERROR_FORMAT,
     "merge 1: \"c\" is not in the vocabulary"},
    {SF_TOKENIZER_JSON, "{\"model\":{\"end_of_word_suffix\":\"</w>\",\"vocab\":[]}}",
     SF_ERROR_FORMAT, "the vocabulary is not an object"},
    {SF_TOKENIZER_JSON, "{\"normalizer\":{\"type\":\"Precompiled\"}," MODEL ",\"merges\":[]}}",
     SF_ERROR_UNSUPPORTED, "the normalizer has no Lowercase"},
    {SF_TOKENIZER_JSON, "{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL ",\"merges\":[]}}",
     SF_ERROR_UNSUPPORTED, "the pre_tokenizer has no ByteLevel"},
    {SF_TOKENIZER_JSON, "{\"added_tokens\":7," MODEL ",\"merges\":[]}}", SF_ERROR_FORMAT,
     "added_tokens is not a list"},
    {SF_TOKENIZER_JSON, "{\"added_tokens\":[{}]," MODEL ",\"merges\":[]}}", SF_ERROR_FORMAT,
     "added_tokens[0] has no id"},
    {SF_TOKENIZER_JSON, "{\"added_tokens\":[{\"id\":1}]," MODEL ",\"merges\":[]}}", SF_ERROR_FORMAT,
     "neither text nor an object"},
    {SF_TOKENIZER_JSON, "{\"truncation\":{\"direction\":\"Left\"}," MODEL ",\"merges\":[]}}",
     SF_ERROR_UNSUPPORTED, "the direction of truncation is \"Left\""},
};

/* A small tokenizer of two letters; file, if it is one, is replaced by content. */
static void small_sources(sf_tokenizer_source *sources, int file, const char *content) {
    memset(sources, 0, SF_TOKENIZER_N_FILES * sizeof *sources);
    sources[SF_TOKENIZER_VOCAB] = text_source(VOCABULARY);
    sources[SF_TOKENIZER_MERGES] = text_source(MERGES);
    if (file >= 0)
        sources[file] = content ? text_source(content) : (sf_tokenizer_source){NULL, 0};
}

START_TEST(a_wrong_file_is_an_error_that_names_it) {
    const struct wrong_file *wrong = &wrong_files[_i];
    sf_tokenizer_source sources[SF_TOKENIZER_N_FILES];
    small_sources(sources, wrong->file, wrong->content);
    ck_fails(ctx, sf_tokenizer_load_memory(ctx, "here", sources, &tokenizer), wrong->status,
             wrong->message);
    ck_assert_ptr_null(tokenizer);
}
END_TEST

START_TEST(a_small_tokenizer_works) {
    /* The same with nothing wrong: shows that the table above fails for the reason that it names.
     */
    static const int64_t wanted[] = {5, 4, 0, 2, 3, 6};
    sf_tokenizer_source sources[SF_TOKENIZER_N_FILES];
    int n_used = 0;
    small_sources(sources, SF_TOKENIZER_CONFIG, "{\"model_max_length\":9}");
    ck_ok(ctx, sf_tokenizer_load_memory(ctx, "here", sources, &tokenizer));
    ck_ok(ctx, sf_tokenizer_encode(tokenizer, "AB aa b", 0, ids, &n_used));
    ck_assert_int_eq(n_used, 6);
    ck_assert_mem_eq(ids, wanted, sizeof wanted);
}
END_TEST

START_TEST(no_length_given_is_that_of_clip) {
    static const char *const configurations[] = {
        "{}", "{\"model_max_length\":1000000000000000019884624838656}",
        "{\"model_max_length\":null}", "{\"model_max_length\":1e30}",
        "{\"model_max_length\":Infinity}"};
    sf_tokenizer_source sources[SF_TOKENIZER_N_FILES];
    small_sources(sources, SF_TOKENIZER_CONFIG, configurations[_i]);
    ck_ok(ctx, sf_tokenizer_load_memory(ctx, "here", sources, &tokenizer));
    ck_assert_int_eq(sf_tokenizer_max_length(tokenizer), 77);
}
END_TEST

START_TEST(an_unknown_byte_without_an_unknown_token_is_an_error) {
    sf_tokenizer_source sources[SF_TOKENIZER_N_FILES];
    int n_used = -5;
    small_sources(sources, SF_TOKENIZER_CONFIG, "{\"unk_token\":\"<none>\"}");
    ck_ok(ctx, sf_tokenizer_load_memory(ctx, "here", sources, &tokenizer));
    ck_fails(ctx, sf_tokenizer_encode(tokenizer, "ab ac", 1, ids, &n_used), SF_ERROR_FORMAT,
             "byte 0x63 at the end of a word");
    ck_assert_int_eq(n_used, -5);
    ck_assert_int_eq(ids[0], SENTINEL);
}
END_TEST

/* ---- folders ------------------------------------------------------------------------------------
 */

START_TEST(a_pipeline_folder_will_do) {
    int n_used = 0;
    ck_ok(ctx, sf_tokenizer_load(ctx, test_model(""), &tokenizer));
    ck_assert_int_eq(sf_tokenizer_max_length(tokenizer), 32);
    ck_ok(ctx, sf_tokenizer_encode(tokenizer, "a red apple", 0, ids, &n_used));
    ck_assert_int_gt(n_used, 4);
    ck_assert_int_eq(ids[n_used - 1], 2047);
    ck_assert_int_eq(ids[n_used], SENTINEL);
}
END_TEST

START_TEST(folders_without_a_tokenizer_are_refused) {
    ck_fails(ctx, sf_tokenizer_load(ctx, scratch(""), &tokenizer), SF_ERROR_NOT_FOUND,
             "no tokenizer: neither vocab.json nor tokenizer.json");
    ck_fails(ctx, sf_tokenizer_load(ctx, scratch("nowhere"), &tokenizer), SF_ERROR_NOT_FOUND,
             "nowhere: no tokenizer");
    ck_fails(ctx, sf_tokenizer_load(ctx, NULL, &tokenizer), SF_ERROR_ARGUMENT, "no folder");
    ck_fails(ctx, sf_tokenizer_load(ctx, scratch(""), NULL), SF_ERROR_ARGUMENT, "no place");
    ck_assert_int_eq(sf_tokenizer_load(NULL, scratch(""), &tokenizer), SF_ERROR_ARGUMENT);
    ck_assert_ptr_null(tokenizer);
}
END_TEST

START_TEST(a_huge_file_is_refused_unread) {
    scratch_write("vocab.json", VOCABULARY, strlen(VOCABULARY));
    scratch_write("merges.txt", MERGES, strlen(MERGES));
    ck_ok(ctx, sf_tokenizer_load(ctx, scratch(""), &tokenizer));
    sf_tokenizer_free(tokenizer);
    tokenizer = NULL;
    ck_assert_int_eq(truncate(scratch("vocab.json"), 100 << 20), 0);
    ck_fails(ctx, sf_tokenizer_load(ctx, scratch(""), &tokenizer), SF_ERROR_FORMAT, "vocab.json");
}
END_TEST

START_TEST(arguments_are_checked) {
    int n_used;
    ck_ok(ctx, sf_tokenizer_load(ctx, test_model("tokenizer"), &tokenizer));
    ck_fails(ctx, sf_tokenizer_encode(tokenizer, NULL, 1, ids, &n_used), SF_ERROR_ARGUMENT,
             "no text");
    ck_fails(ctx, sf_tokenizer_encode(tokenizer, "", 1, NULL, &n_used), SF_ERROR_ARGUMENT,
             "no place");
    ck_fails(ctx, sf_tokenizer_encode(tokenizer, "", 1, ids, NULL), SF_ERROR_ARGUMENT, "no place");
    ck_assert_int_eq(sf_tokenizer_encode(NULL, "", 1, ids, &n_used), SF_ERROR_ARGUMENT);
    ck_assert_int_eq(sf_tokenizer_max_length(NULL), 0);
    sf_tokenizer_free(NULL);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static sf_status load_and_encode(sf_context *context, void *user) {
    static const char text[] = "Caf\u00e9 cafe\u0301 <|endoftext|> \U0001f34e don't STOP, dog!";
    const char *folder = user;
    sf_tokenizer *loaded = NULL;
    int n_used;
    SF_TRY(sf_tokenizer_load(context, folder, &loaded));
    sf_status status = sf_tokenizer_encode(loaded, text, 1, ids, &n_used);
    sf_tokenizer_free(loaded);
    return status;
}

START_TEST(every_allocation_may_fail) {
    static const char config[] = "{\"additional_special_tokens\":[\"<x>\"],\"added_tokens_"
                                 "decoder\":{\"9\":{\"content\":\"dog\"},"
                                 "\"6\":{\"content\":\"<|endoftext|>\"}}}";
    scratch_write("vocab.json", VOCABULARY, strlen(VOCABULARY));
    scratch_write("merges.txt", MERGES, strlen(MERGES));
    scratch_write("tokenizer_config.json", config, strlen(config));
    check_each_allocation(load_and_encode, (void *)scratch(""), 0);
    check_each_allocation(load_and_encode, (void *)test_model(""), 0);
}
END_TEST

Suite *suite_models_tokenizer_files(void) {
    Suite *suite = suite_create("models/tokenizer_files");
    TCase *tcase = tcase_create("files");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tcase, a_wrong_file_is_an_error_that_names_it, 0,
                        (int)(sizeof wrong_files / sizeof *wrong_files));
    tcase_add_test(tcase, a_small_tokenizer_works);
    tcase_add_loop_test(tcase, no_length_given_is_that_of_clip, 0, 5);
    tcase_add_test(tcase, an_unknown_byte_without_an_unknown_token_is_an_error);
    tcase_add_test(tcase, a_pipeline_folder_will_do);
    tcase_add_test(tcase, folders_without_a_tokenizer_are_refused);
    tcase_add_test(tcase, a_huge_file_is_refused_unread);
    tcase_add_test(tcase, arguments_are_checked);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
