/*
 * Weights of a mapped file whose pages go after each use: which do under which limit, when, and what
 * is refused. The mapping is memory of the test, which notes the advice that it is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan/internal.h"
#include "plugins/registry.h"
#include "tests/plugins/fake.h"
#include "tests/plugins/plugins.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_core_plan_stream(void);

#define WIDTH    256
#define N_LAYERS 6
#define LAYER    ((uint64_t)WIDTH * WIDTH * sizeof(float))
#define AROUND   (2 * (uint64_t)SF_PAGES_AROUND)

static float memory[N_LAYERS][WIDTH * WIDTH]; /* what the file would have */

static sf_context *ctx;
static sf_backend *reference;
static sf_tensors *weights;
static sf_graph *graph; /* of the test at hand; the plan takes it over */

/* Advice in turn: the layer that it is about, and whether it is wanted. */
static struct {
    int layer;
    bool wanted;
} advice[100];
static int n_advice;

static void forget(void *mapping, size_t bytes) {
    (void)mapping;
    (void)bytes;
}

static void note_advice(void *mapping, size_t bytes, bool wanted) {
    const char *start = mapping, *base = (const char *)memory;
    ck_assert_int_lt(n_advice, 100);
    ck_assert(start >= base && start + bytes <= base + sizeof memory);
    /* the windows around a layer begin in the one before it; its middle tells which it is */
    advice[n_advice].layer = (int)((size_t)(start + bytes / 2 - base) / LAYER);
    advice[n_advice++].wanted = wanted;
}

static void add_layer(int i) {
    char name[8];
    sf_tensor *tensor = NULL;
    snprintf(name, sizeof name, "w%d", i);
    for (int k = 0; k < WIDTH * WIDTH; k++)
        memory[i][k] = (float)((k + 3 * i) % 7 - 3) * 0.05f;
    ck_ok(ctx, sf_tensor_borrow(ctx, SF_F32, SF_DIMS(WIDTH, WIDTH), memory[i], &tensor));
    ck_ok(ctx, sf_tensors_add(weights, name, tensor));
}

static void make_weights(void) {
    ck_ok(ctx, sf_tensors_new(ctx, &weights));
    for (int i = 0; i < N_LAYERS; i++)
        add_layer(i);
    ck_ok(ctx, sf_tensors_adopt_mapping(weights, memory, sizeof memory, forget, note_advice));
    n_advice = 0;
}

static void setup(void) {
    ctx = test_context();
    reference = open_reference(ctx);
    make_weights();
}

static void teardown(void) {
    sf_tensors_free(weights);
    test_context_free(ctx);
}

/* ---- the plan: the text through one layer, x through the others ---- */

static sf_value layer(sf_value x, int i) {
    char name[8];
    snprintf(name, sizeof name, "w%d", i);
    return sf_unary(graph, SF_OP_tanh, sf_linear(graph, x, sf_weight(graph, name), SF_NO_VALUE));
}

static sf_plan *new_plan(const sf_plan_options *options) {
    sf_plan *plan = NULL;
    ck_ok(ctx, sf_graph_new(ctx, weights, &graph));
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(1, WIDTH));
    sf_value text = sf_settled_input(graph, "text", SF_F32, SF_DIMS(1, WIDTH));
    for (int i = 1; i < N_LAYERS; i++)
        x = layer(x, i);
    sf_output(graph, "y", sf_add(graph, x, layer(text, 0)));
    ck_ok(ctx, sf_plan_new(ctx, graph, options, &plan));
    check_plan_memory(plan);
    return plan;
}

static sf_plan *reference_plan(void) {
    return new_plan(&(sf_plan_options){.backend = reference, .no_fusion = true});
}

static void write_data(sf_plan *plan, const char *name) {
    float data[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        data[i] = (float)(i % 5) - 2;
    ck_ok(ctx, sf_plan_write(plan, sf_plan_find_input(plan, name), data, sizeof data));
}

static void run(sf_plan *plan, float *y) {
    n_advice = 0;
    ck_ok(ctx, sf_plan_run(plan));
    ck_ok(ctx, sf_plan_read(plan, 0, y, WIDTH * sizeof *y));
}

/* What went during the last run, as digits: "123". */
static const char *gone(void) {
    static char text[101];
    int used = 0;
    for (int i = 0; i < n_advice; i++)
        if (!advice[i].wanted)
            text[used++] = (char)('0' + advice[i].layer);
    text[used] = '\0';
    return text;
}

/* ---- tests ---- */

/* With room for all, only what settled steps read goes, and that once. */
START_TEST(without_a_limit_weights_stay) {
    float y[WIDTH];
    sf_plan *plan = reference_plan();
    const sf_plan_stats *stats = sf_plan_get_stats(plan);
    ck_assert_uint_eq(stats->weight_bytes, N_LAYERS * LAYER);
    ck_assert_uint_eq(stats->resident_weight_bytes, (N_LAYERS - 1) * LAYER + LAYER + AROUND);
    ck_assert_uint_eq(stats->least_weight_bytes, LAYER + AROUND);
    ck_assert_uint_eq(stats->host_bytes, stats->arena_bytes);
    ck_ok(ctx, sf_plan_fit(plan, 0, 12345));
    ck_assert_uint_eq(stats->resident_weight_bytes, N_LAYERS * LAYER + AROUND);
    write_data(plan, "x");
    write_data(plan, "text");
    run(plan, y);
    ck_assert_str_eq(gone(), "0");
    run(plan, y);
    ck_assert_int_eq(n_advice, 0);
    sf_plan_free(plan);
}
END_TEST

/* The first layers stay as far as there is room, the others go one by one; y is the same. */
START_TEST(as_many_weights_stay_as_there_is_room_for) {
    static const char *const first_runs[] = {"123450", "23450", "3450", "450", "50", "0"};
    static const char *const runs[] = {"12345", "2345", "345", "45", "5", ""};
    float wanted[WIDTH], y[WIDTH];
    const uint64_t beside = 1000;
    sf_plan *free_plan = reference_plan(), *plan = reference_plan();
    const sf_plan_stats *stats = sf_plan_get_stats(plan);
    write_data(free_plan, "x");
    write_data(free_plan, "text");
    run(free_plan, wanted);
    write_data(plan, "x");
    for (uint64_t n_kept = 0; n_kept < N_LAYERS; n_kept++) {
        uint64_t least = beside + stats->host_bytes + stats->least_weight_bytes;
        uint64_t most = least + n_kept * LAYER; /* and an eighth that stays free */
        ck_ok(ctx, sf_plan_fit(plan, least + (n_kept * LAYER + 7) / 7 * 8, beside));
        ck_assert_uint_le(stats->host_bytes + stats->resident_weight_bytes + beside, most);
        write_data(plan, "text");
        run(plan, y);
        ck_assert_str_eq(gone(), first_runs[n_kept]);
        ck_assert_mem_eq(y, wanted, sizeof y);
        run(plan, y);
        ck_assert_str_eq(gone(), runs[n_kept]);
        ck_assert_mem_eq(y, wanted, sizeof y);
    }
    sf_plan_free(plan);
    sf_plan_free(free_plan);
}
END_TEST

/* After a streamed layer the next one that will run is fetched. */
START_TEST(the_next_weights_are_fetched) {
    float y[WIDTH];
    sf_plan *plan = reference_plan();
    const sf_plan_stats *stats = sf_plan_get_stats(plan);
    ck_ok(ctx, sf_plan_fit(plan, stats->host_bytes + stats->least_weight_bytes, 0));
    write_data(plan, "x");
    write_data(plan, "text");
    static const int layers[][12] = {{1, 2, 2, 3, 3, 4, 4, 5, 5, 0, 0},
                                     {1, 2, 2, 3, 3, 4, 4, 5, 5}};
    static const int counts[] = {11, 9};
    for (int k = 0; k < 2; k++) {
        run(plan, y);
        ck_assert_int_eq(n_advice, counts[k]);
        for (int i = 0; i < n_advice; i++) {
            ck_assert_int_eq(advice[i].layer, layers[k][i]);
            ck_assert_int_eq(advice[i].wanted, i % 2);
        }
    }
    sf_plan_free(plan);
}
END_TEST

START_TEST(what_does_not_fit_is_refused) {
    sf_plan *plan = reference_plan();
    const sf_plan_stats *stats = sf_plan_get_stats(plan);
    uint64_t least = stats->host_bytes + stats->least_weight_bytes + 5000000;
    ck_ok(ctx, sf_plan_fit(plan, least, 5000000));
    uint64_t resident = stats->resident_weight_bytes;
    ck_fails(ctx, sf_plan_fit(plan, least - 1, 5000000), SF_ERROR_MEMORY, "all else 5.0 MB");
    ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), "weights at a time 393.2 kB"));
    ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), "limit (max-memory)"));
    ck_assert_uint_eq(stats->resident_weight_bytes, resident); /* as it was */
    sf_plan_free(plan);
}
END_TEST

/* Memory that is no mapping would be lost. */
START_TEST(other_constants_stay) {
    float y[WIDTH];
    sf_plan *plan = NULL;
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value w = sf_constant_f32(graph, "w", SF_DIMS(WIDTH, WIDTH), memory[0]);
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(1, WIDTH));
    sf_output(graph, "y", sf_linear(graph, x, w, SF_NO_VALUE));
    ck_ok(ctx, sf_plan_new(ctx, graph, &(sf_plan_options){.backend = reference}, &plan));
    const sf_plan_stats *stats = sf_plan_get_stats(plan);
    ck_assert_uint_eq(stats->weight_bytes, LAYER);
    ck_assert_uint_eq(stats->resident_weight_bytes, 0);
    ck_ok(ctx, sf_plan_fit(plan, stats->host_bytes, 0));
    write_data(plan, "x");
    run(plan, y);
    ck_assert_int_eq(n_advice, 0);
    sf_plan_free(plan);
}
END_TEST

static uint64_t seven_thousand(void *backend) {
    (void)backend;
    return 7000;
}

static bool has_all(sf_op_id op) {
    (void)op;
    return true;
}

/* It counts where the backend has something to do, not where it only stands by. */
START_TEST(what_a_backend_takes_for_itself_counts) {
    sf_backend *taking = limit_backend(reference, "taking", has_all);
    taking->plugin.memory_bytes = seven_thousand;
    sf_plan *plan = new_plan(&(sf_plan_options){.backend = taking});
    const sf_plan_stats *stats = sf_plan_get_stats(plan);
    ck_assert_uint_eq(stats->host_bytes, stats->arena_bytes + 7000);
    sf_plan_free(plan);
    plan = new_plan(&(sf_plan_options){.backend = reference, .fallback = taking});
    stats = sf_plan_get_stats(plan);
    ck_assert_uint_eq(stats->host_bytes, stats->arena_bytes);
    sf_plan_free(plan);
    free(taking);
}
END_TEST

/* A device has copies, so the file's pages go as soon as they were made. */
START_TEST(a_device_leaves_no_pages) {
    scratch_setup();
    sf_plan_options options;
    float y[WIDTH], wanted[WIDTH];
    sf_plan *plan = reference_plan();
    write_data(plan, "x");
    write_data(plan, "text");
    run(plan, wanted);
    sf_plan_free(plan);
    sf_tensors_free(weights);
    sf_context *host = ctx;
    ctx = plugin_context(test_plugins("fake"), "fake", 0);
    make_weights();
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    plan = new_plan(&options);
    ck_assert_str_eq(gone(), "123450");
    ck_assert_uint_eq(sf_plan_get_stats(plan)->resident_weight_bytes, 0);
    ck_ok(ctx, sf_plan_fit(plan, sf_plan_get_stats(plan)->host_bytes, 0));
    write_data(plan, "x");
    write_data(plan, "text");
    run(plan, y);
    ck_assert_str_eq(gone(), "");
    for (int i = 0; i < WIDTH; i++)
        ck_assert_float_eq_tol(y[i], wanted[i], 1e-4f); /* tanh in simpler ops, 6 times */
    sf_plan_free(plan);
    sf_tensors_free(weights);
    ck_assert_int_eq(fake()->live_buffers, 0);
    sf_context_free(ctx);
    ctx = host;
    make_weights();
    scratch_teardown();
}
END_TEST

Suite *suite_core_plan_stream(void) {
    Suite *suite = suite_create("core_plan_stream");
    TCase *tcase = tcase_create("plan");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_a_limit_weights_stay);
    tcase_add_test(tcase, as_many_weights_stay_as_there_is_room_for);
    tcase_add_test(tcase, the_next_weights_are_fetched);
    tcase_add_test(tcase, what_does_not_fit_is_refused);
    tcase_add_test(tcase, other_constants_stay);
    tcase_add_test(tcase, what_a_backend_takes_for_itself_counts);
    tcase_add_test(tcase, a_device_leaves_no_pages);
    suite_add_tcase(suite, tcase);
    return suite;
}
