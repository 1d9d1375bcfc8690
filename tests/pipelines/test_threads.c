/*
 * Contexts share no state: two threads load and draw at once, and get what one thread gets. Meant
 * to be run under ThreadSanitizer too (configure --enable-sanitizers=thread).
 */
#include <pthread.h>
#include <stdio.h>

#include "tests/support/model_folder.h"
#include "tests/support/pictures.h"
#include "tests/support/support.h"

Suite *suite_pipelines_threads(void);

#ifdef __SANITIZE_THREAD__
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

/* dlopen() and dlclose() take a lock inside the dynamic linker, which ThreadSanitizer can't see. */
const char *__tsan_default_suppressions(void) {
    return "race:_dl_close_worker\n";
}
#endif

enum { N_THREADS = 3, MOST_ROUNDS = 3 };

struct job {
    const char *model; /* borrowed */
    int number;
    int n_rounds, n_steps;
    pthread_barrier_t *start; /* NULL: alone */
    sf_status status;
    char message[1024];
    sf_context *ctx; /* of the pictures */
    sf_image *images[MOST_ROUNDS];
};

static const char *const samplers[] = {"ddim", "ddpm", "euler"};

/*
 * Everything that a program does, with a seed and a sampler of its own. No Check calls in threads.
 */
static sf_status draw(struct job *job) {
    for (int round = 0; round < job->n_rounds; round++) {
        sf_pipeline *pipeline = NULL;
        sf_generate_options options;
        sf_generate_options_init(&options);
        options.prompt = "a red apple";
        options.sampler = samplers[job->number % 3];
        options.precision = round == 1 ? "f16" : "f32";
        options.steps = job->n_steps;
        options.seed = (uint64_t)(10 * job->number + round);
        sf_status status = sf_pipeline_load(job->ctx, job->model, &pipeline);
        if (status == SF_OK)
            status = sf_pipeline_generate(pipeline, &options, &job->images[round]);
        sf_pipeline_free(pipeline);
        if (status != SF_OK)
            return status;
    }
    return SF_OK;
}

static void *run_job(void *user) {
    struct job *job = user;
    if (job->start)
        pthread_barrier_wait(job->start);
    job->status = sf_context_new(NULL, &job->ctx);
    if (job->status == SF_OK)
        job->status = draw(job);
    snprintf(job->message, sizeof job->message, "%s", sf_error_message(job->ctx));
    return NULL;
}

static void free_job(struct job *job) {
    for (int round = 0; round < MOST_ROUNDS; round++)
        sf_image_free(job->images[round]);
    sf_context_free(job->ctx);
}

/* What each thread does is in `model`; number and start are filled in. */
static void check_threads(struct job model) {
    struct job alone[N_THREADS], together[N_THREADS];
    pthread_t threads[N_THREADS];
    pthread_barrier_t start;
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, N_THREADS), 0);
    for (int i = 0; i < N_THREADS; i++) {
        together[i] = model;
        together[i].number = i;
        together[i].start = &start;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_job, &together[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < N_THREADS; i++) {
        alone[i] = model;
        alone[i].number = i;
        run_job(&alone[i]);
        ck_assert_msg(together[i].status == SF_OK, "%s", together[i].message);
        ck_assert_msg(alone[i].status == SF_OK, "%s", alone[i].message);
        for (int round = 0; round < model.n_rounds; round++)
            check_pictures_equal(alone[i].images[round], together[i].images[round]);
        free_job(&alone[i]);
        free_job(&together[i]);
    }
}

START_TEST(threads_draw_what_one_draws) {
    check_threads((struct job){.model = TINY_MODEL, .n_rounds = MOST_ROUNDS, .n_steps = 2});
}
END_TEST

/* Larger tensors, other sizes; one step of it is slow enough under ThreadSanitizer. */
START_TEST(threads_draw_with_the_shipped_model) {
    check_threads((struct job){.model = test_model(""), .n_rounds = 1, .n_steps = 1});
}
END_TEST

/* What is read besides: lists, inspection, tokenizer, the error of each context. */
static void *use_the_rest(void *user) {
    const char *model = user;
    const char *wrong = NULL;
    for (int i = 0; i < 20 && !wrong; i++) {
        sf_context *ctx = NULL;
        sf_tokenizer *tokenizer = NULL;
        const sf_backend_info *backends;
        int64_t ids[100];
        char *json = NULL;
        int n = 0;
        if (sf_context_new(NULL, &ctx) != SF_OK || sf_backend_list(ctx, &backends, &n) != SF_OK ||
            sf_inspect(ctx, model, &json) != SF_OK ||
            sf_tokenizer_load(ctx, model, &tokenizer) != SF_OK ||
            sf_tokenizer_encode(tokenizer, "a red \xc3\x89pple", 1, ids, &n) != SF_OK)
            wrong = "a call failed";
        sf_tokenizer_free(tokenizer);
        sf_text_free(ctx, json);
        if (!wrong && (sf_inspect(ctx, "/nowhere", &json) == SF_OK ||
                       !strstr(sf_error_message(ctx), "/nowhere")))
            wrong = "an error was lost";
        sf_sampler_list(&n);
        sf_context_free(ctx);
    }
    return (void *)wrong;
}

START_TEST(threads_use_the_rest_at_once) {
    pthread_t threads[N_THREADS];
    for (int i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_the_rest, (void *)TINY_MODEL), 0);
    for (int i = 0; i < N_THREADS; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_msg(!wrong, "%s", (const char *)wrong);
    }
}
END_TEST

Suite *suite_pipelines_threads(void) {
    Suite *suite = suite_create("pipelines_threads");
    TCase *tcase = tcase_create("threads");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, threads_draw_what_one_draws);
    tcase_add_test(tcase, threads_draw_with_the_shipped_model);
    tcase_add_test(tcase, threads_use_the_rest_at_once);
    suite_add_tcase(suite, tcase);
    return suite;
}
