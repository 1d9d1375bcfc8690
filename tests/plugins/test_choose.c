/*
 * Which backend a context takes: the forms of SFUMATO_BACKEND, folders of plugins, the list of
 * backends. And two contexts in two threads.
 */
#include "plugins/registry.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/plugins/plugins.h"
#include "tests/support/plans.h"
#include "tests/support/random_graph.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_plugins_choose(void);

#define EVERYTHING "fake lazy wrong_magic open_message probe_fails"

/* ---- the environment, which tests change and others should find as it was ---- */

static char *kept_path, *kept_folder;

static void setup(void) {
    const char *path = getenv("SFUMATO_PLUGIN_PATH");
    kept_path = path ? strdup(path) : NULL;
    kept_folder = getcwd(NULL, 0);
    unsetenv("SFUMATO_BACKEND");
    scratch_setup();
}

static void teardown(void) {
    unsetenv("SFUMATO_BACKEND");
    unsetenv("SFUMATO_PLUGIN_PATH");
    if (kept_path)
        setenv("SFUMATO_PLUGIN_PATH", kept_path, 1);
    ck_assert_int_eq(chdir(kept_folder), 0);
    free(kept_path);
    free(kept_folder);
    scratch_teardown();
}

/* ---- what is asked for ---- */

static const struct {
    const char *wanted, *got; /* got NULL: an error with that status and these parts */
    sf_status status;
    const char *parts[3];
} choices[] = {
    {"auto", "fake", SF_OK, {NULL}},
    {"", "fake", SF_OK, {NULL}},
    {"reference", "reference", SF_OK, {NULL}},
    {"fake:0", "fake", SF_OK, {NULL}},
    {"fake:1", "fake:1", SF_OK, {NULL}},
    {"lazy,fake", "lazy", SF_OK, {NULL}},
    {"absent,open_message,wrong_magic,lazy", "lazy", SF_OK, {NULL}},
    {"fake:7,auto", "fake", SF_OK, {NULL}},
    {",,reference,", "reference", SF_OK, {NULL}},
    {"absent", NULL, SF_ERROR_NOT_FOUND, {"\"absent\"", "no such plugin", "reference"}},
    {"absent,auto", "fake", SF_OK, {NULL}},
    {"open_message", NULL, SF_ERROR_BACKEND, {"open_message.so", "the driver has left"}},
    {"wrong_magic", NULL, SF_ERROR_BACKEND, {"wrong_magic.so", "not a Sfumato plugin"}},
    {"probe_fails", NULL, SF_ERROR_BACKEND, {"probe_fails.so", "device 0 hurts"}},
    {"fake:2", NULL, SF_ERROR_BACKEND, {"fake.so", "it has no device 2"}},
    {"reference:1", NULL, SF_ERROR_BACKEND, {"reference.so", "it has no device 1"}},
    {"fake:", NULL, SF_ERROR_ARGUMENT, {"\"\" is not a device number"}},
    {"fake:x", NULL, SF_ERROR_ARGUMENT, {"\"x\" is not a device number"}},
    {"fake:1x", NULL, SF_ERROR_ARGUMENT, {"\"1x\" is not a device number"}},
    {"fake:-1", NULL, SF_ERROR_ARGUMENT, {"\"-1\" is not a device number"}},
    {"fake:+1", NULL, SF_ERROR_ARGUMENT, {"\"+1\" is not a device number"}},
    {"fake: 1", NULL, SF_ERROR_ARGUMENT, {"is not a device number"}},
    {"fake:99999999999999999999", NULL, SF_ERROR_ARGUMENT, {"is not a device number"}},
    {"fake:1:1", NULL, SF_ERROR_ARGUMENT, {"is not a device number"}},
    {":1", NULL, SF_ERROR_NOT_FOUND, {"no such plugin"}},
    {",", NULL, SF_ERROR_ARGUMENT, {"names no backend"}},
    {"open_message,absent",
     NULL,
     SF_ERROR_NOT_FOUND,
     {"open_message: ", "the driver has left", "absent: there is no such plugin"}},
    {"../plugins/reference", NULL, SF_ERROR_NOT_FOUND, {"no such plugin"}},
    {"FAKE", NULL, SF_ERROR_NOT_FOUND, {"no such plugin"}},
    {"fak", NULL, SF_ERROR_NOT_FOUND, {"no such plugin"}},
};

static void check_choice(sf_context *ctx, int i) {
    if (choices[i].got) {
        ck_ok(ctx, sf_context_open_backend(ctx));
        ck_assert_str_eq(ctx->backend->name, choices[i].got);
        ck_ok(ctx, sf_context_open_backend(ctx)); /* once more does nothing */
        return;
    }
    for (int k = 0; k < 3 && choices[i].parts[k]; k++)
        ck_fails(ctx, sf_context_open_backend(ctx), choices[i].status, choices[i].parts[k]);
    ck_assert_ptr_null(ctx->backend);
}

START_TEST(a_backend_is_chosen) {
    const char *path = test_plugins(EVERYTHING);
    sf_context *ctx = plugin_context(path, choices[_i].wanted, 0);
    check_choice(ctx, _i);
    sf_context_free(ctx);

    setenv("SFUMATO_BACKEND", choices[_i].wanted, 1);
    setenv("SFUMATO_PLUGIN_PATH", path, 1);
    ctx = test_context();
    check_choice(ctx, _i);
    sf_context_free(ctx);
}
END_TEST

START_TEST(the_option_beats_the_environment) {
    setenv("SFUMATO_BACKEND", "absent", 1);
    setenv("SFUMATO_PLUGIN_PATH", "/nowhere", 1);
    sf_context *ctx = plugin_context(test_plugins("lazy"), "lazy", 0);
    ck_ok(ctx, sf_context_open_backend(ctx));
    ck_assert_str_eq(ctx->backend->name, "lazy");
    sf_context_free(ctx);
}
END_TEST

START_TEST(a_very_long_choice_is_an_error_that_ends) {
    char wanted[5000];
    for (size_t i = 0; i < sizeof wanted - 1; i++)
        wanted[i] = i % 50 == 49 ? ',' : 'n';
    wanted[sizeof wanted - 1] = '\0';
    sf_context *ctx = plugin_context(test_plugins(""), wanted, 0);
    ck_fails(ctx, sf_context_open_backend(ctx), SF_ERROR_NOT_FOUND, "nnnn");
    ck_assert_uint_lt(strlen(sf_error_message(ctx)), SF_ERROR_BYTES);
    sf_context_free(ctx);
}
END_TEST

/* ---- auto ---- */

START_TEST(auto_passes_over_what_does_not_open) {
    sf_context *ctx =
        plugin_context(test_plugins_alone("open_message wrong_magic no_device reference"), NULL, 0);
    ck_ok(ctx, sf_context_open_backend(ctx));
    ck_assert_str_eq(ctx->backend->name, "reference");
    sf_context_free(ctx);
}
END_TEST

START_TEST(auto_takes_the_highest_priority) {
    static const struct {
        const char *plugins, *got;
    } cases[] = {{"reference cpu", "cpu"},       {"reference", "reference"},
                 {"cpu lazy", "lazy"},           {"reference cpu modest", "cpu"},
                 {"reference modest", "modest"}, {"modest fake", "fake"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sf_context *ctx = plugin_context(test_plugins_alone(cases[i].plugins), NULL, 0);
        ck_ok(ctx, sf_context_open_backend(ctx));
        ck_assert_str_eq(ctx->backend->name, cases[i].got);
        sf_context_free(ctx);
    }
}
END_TEST

START_TEST(auto_without_anything_usable_gives_all_reasons) {
    sf_context *ctx =
        plugin_context(test_plugins_alone("open_message wrong_magic no_device"), NULL, 0);
    ck_fails(ctx, sf_context_open_backend(ctx), SF_ERROR_BACKEND, "the driver has left");
    ck_fails(ctx, sf_context_open_backend(ctx), SF_ERROR_BACKEND, "not a Sfumato plugin");
    ck_fails(ctx, sf_context_open_backend(ctx), SF_ERROR_BACKEND, "it has no device 0");
    sf_context_free(ctx);
}
END_TEST

START_TEST(the_fallback_is_another_plugin_with_host_memory) {
    static const struct {
        const char *backend, *fallback;
    } cases[] = {{"fake", "lazy"}, {"lazy", "cpu"}, {"cpu", "lazy"}, {"reference", "lazy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int strict = 0; strict < 2; strict++) {
            sf_context *ctx = plugin_context(test_plugins_alone(EVERYTHING " reference cpu"),
                                             cases[i].backend, strict);
            sf_plan_options options;
            ck_ok(ctx, sf_plan_options_for(ctx, &options));
            ck_assert_str_eq(options.backend->name, cases[i].backend);
            if (strict)
                ck_assert_ptr_null(options.fallback);
            else
                ck_assert_str_eq(options.fallback->name, cases[i].fallback);
            sf_context_free(ctx);
        }
    ck_assert_int_eq(fake()->live_backends, 0);
}
END_TEST

START_TEST(a_device_is_opened_once) {
    sf_context *ctx = plugin_context(test_plugins("fake lazy"), "reference", 0);
    sf_backend *a, *b;
    sf_plan_options options;
    ck_ok(ctx, sf_registry_open_reference(ctx, &a));
    ck_ok(ctx, sf_plan_options_for(ctx, &options));
    ck_ok(ctx, sf_registry_open_reference(ctx, &b));
    ck_assert_ptr_eq(a, b);
    ck_assert_ptr_eq(a, options.backend);
    sf_context_free(ctx);
}
END_TEST

START_TEST(without_reference_that_is_what_is_said) {
    sf_context *ctx = plugin_context(test_plugins_alone("lazy"), NULL, 0);
    sf_backend *backend;
    ck_fails(ctx, sf_registry_open_reference(ctx, &backend), SF_ERROR_NOT_FOUND, "\"reference\"");
    sf_context_free(ctx);
}
END_TEST

/* ---- folders ---- */

static int count_plugins(const char *path) {
    sf_context *ctx = plugin_context(path, NULL, 0);
    const sf_backend_info *infos;
    int n;
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    sf_context_free(ctx);
    return n;
}

/* An empty part of a path means the current folder elsewhere; never here. */
START_TEST(the_current_folder_is_never_searched) {
    static const char *const paths[] = {"", ":", "::", ":/nowhere", "/nowhere:", "/nowhere::/no"};
    const int n_installed = count_plugins("/nowhere");
    ck_assert_int_eq(chdir(test_plugins_alone("newer terse")), 0);
    ck_assert_int_eq(access("newer.so", R_OK), 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ck_assert_int_eq(count_plugins(paths[i]), n_installed);
        setenv("SFUMATO_PLUGIN_PATH", paths[i], 1);
        ck_assert_int_eq(count_plugins(NULL), n_installed);
    }
    unsetenv("SFUMATO_PLUGIN_PATH");
    ck_assert_int_eq(count_plugins(NULL), n_installed);
    ck_assert_int_eq(count_plugins("."), n_installed + 2); /* asked for */
}
END_TEST

START_TEST(the_first_file_of_a_name_counts) {
    const char *first = test_plugins_alone("newer"), *second = test_plugins_alone("newer terse");
    char path[2 * PATH_MAX];
    for (int swapped = 0; swapped < 2; swapped++) {
        const sf_backend_info *infos;
        int n, n_newer = 0;
        snprintf(path, sizeof path, ":%s::%s:", swapped ? second : first, swapped ? first : second);
        sf_context *ctx = plugin_context(path, NULL, 0);
        ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
        for (int i = 0; i < n; i++) {
            if (strcmp(infos[i].name, "newer") != 0)
                continue;
            n_newer++;
            ck_assert_int_eq(strncmp(infos[i].file, swapped ? second : first, strlen(first)), 0);
        }
        ck_assert_int_eq(n_newer, 1);
        sf_context_free(ctx);
    }
}
END_TEST

/* ---- the list ---- */

START_TEST(the_list_describes_plugins_and_devices) {
    sf_context *ctx =
        plugin_context(test_plugins_alone("lazy fake wrong_magic reference"), "fake:1", 0);
    const sf_backend_info *infos;
    int n;
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    static const struct {
        const char *name, *device, *types, *version;
        int priority;
    } wanted[] = {
        {"fake", "Fake Accelerator", "f32", "1.2", 50},
        {"fake:1", "Fake Accelerator", "f32", "1.2", 50},
        {"lazy", "Fake Accelerator", "f32", "1.2", 40},
        {"lazy:1", "Fake Accelerator", "f32", "1.2", 40},
        {"reference", NULL, "f32 f16 bf16", NULL, 0},
        {"wrong_magic", "", "", "", 0},
    };
    const int n_wanted = sizeof wanted / sizeof *wanted;
    ck_assert_int_eq(n, n_wanted);
    for (int i = 0; i < n_wanted; i++) {
        ck_assert_str_eq(infos[i].name, wanted[i].name);
        ck_assert_str_eq(infos[i].types, wanted[i].types);
        ck_assert_int_eq(infos[i].priority, wanted[i].priority);
        ck_assert_int_eq(infos[i].selected, 0); /* listing opens nothing */
        ck_assert_int_eq(infos[i].reason[0] != '\0', i == 5);
        if (wanted[i].device)
            ck_assert_str_eq(infos[i].device, wanted[i].device);
        if (wanted[i].version)
            ck_assert_str_eq(infos[i].version, wanted[i].version);
    }
    ck_assert_uint_eq(infos[0].memory_bytes, 1 << 30);
    ck_assert_int_eq(fake()->live_backends, 0);

    ck_ok(ctx, sf_context_open_backend(ctx));
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(infos[i].selected, i == 1);
    sf_context_free(ctx);
}
END_TEST

/* A device's own priority stands for the plugin's; who names it gets it. */
START_TEST(a_device_may_be_worth_less_than_its_plugin) {
    sf_context *ctx = plugin_context(test_plugins_alone("modest cpu"), "modest", 0);
    const sf_backend_info *infos;
    int n;
    ck_ok(ctx, sf_context_open_backend(ctx));
    ck_assert_str_eq(ctx->backend->name, "modest");
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    ck_assert_int_eq(n, 3);
    static const struct {
        const char *name;
        int priority;
    } wanted[] = {{"modest:1", 60}, {"cpu", 10}, {"modest", 5}};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            if (strcmp(infos[i].name, wanted[k].name) == 0)
                ck_assert_int_eq(infos[i].priority, wanted[k].priority);
    sf_context_free(ctx);
}
END_TEST

/* ---- threads ---- */

/* Each thread has a context, and so plugins, of its own. Run this under ThreadSanitizer. */
static void *run_in_thread(void *user) {
    const uint64_t *first_seed = user;
    sf_context *ctx = test_context();
    sf_backend *reference = NULL;
    sf_plan_options options;
    const sf_backend_info *infos;
    int n;
    sf_status status = sf_plan_options_for(ctx, &options);
    if (status == SF_OK)
        status = sf_registry_open_reference(ctx, &reference);
    for (uint64_t i = 0; status == SF_OK && i < 20; i++) {
        sf_graph *graph;
        sf_plan *plan = NULL;
        sf_plan_options on = {.backend = reference};
        random_graph(ctx, *first_seed + i, &graph);
        status = sf_plan_new(ctx, graph, &on, &plan);
        for (int k = 0; status == SF_OK && k < sf_plan_n_inputs(plan); k++) {
            size_t bytes = sf_spec_bytes(sf_plan_input_spec(plan, k));
            void *zeros = calloc(bytes + 1, 1);
            status = sf_plan_write(plan, k, zeros, bytes);
            free(zeros);
        }
        if (status == SF_OK)
            status = sf_plan_run(plan);
        sf_plan_free(plan);
    }
    if (status == SF_OK)
        status = sf_backend_list(ctx, &infos, &n);
    sf_context_free(ctx);
    return status == SF_OK ? NULL : user;
}

START_TEST(contexts_in_two_threads_run_at_once) {
    pthread_t threads[2];
    uint64_t seeds[2] = {500, 900};
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_in_thread, &seeds[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *failed;
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
}
END_TEST

/* ---- on paper ---- */

/* Plans count for a device that can't be had, and for one that is there without opening it. */
START_TEST(on_paper_no_device_is_opened) {
    static const char *const names[] = {"fake", "fake:7", "open_message", "probe_fails"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        sf_context *ctx = plugin_context(test_plugins(EVERYTHING), names[i], 0);
        sf_plan_options options;
        sf_graph *graph;
        sf_plan *plan = NULL;
        sf_step_cost cost;
        ck_ok(ctx, sf_plan_options_on_paper(ctx, &options));
        ck_assert(options.no_memory && strncmp(options.backend->name, names[i], 4) == 0);
        ck_assert_int_eq(fake()->live_backends, strcmp(options.fallback->name, "lazy") == 0);
        ck_assert_ptr_null(ctx->backend);
        ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
        sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(2, 3));
        sf_output(graph, "y", sf_affine(graph, x, 2, 1));
        ck_ok(ctx, sf_plan_new(ctx, graph, &options, &plan));
        ck_ok(ctx, sf_plan_step_cost(plan, 0, &cost));
        ck_fails(ctx, sf_plan_run(plan), SF_ERROR_ARGUMENT, "without memory can't run");
        sf_plan_free(plan);
        sf_context_free(ctx);
        ck_assert_int_eq(fake()->live_backends, 0);
    }
}
END_TEST

START_TEST(on_paper_a_plugin_must_be_usable) {
    static const char *const wrong[][2] = {
        {"absent", "backend \"absent\" can't be had: there is no such plugin"},
        {"wrong_magic", "backend \"wrong_magic\" can't be had: "},
        {"fake:x", "\"x\" is not a device number"},
        {"absent,wrong_magic", "can't be had"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sf_context *ctx = plugin_context(test_plugins(EVERYTHING), wrong[i][0], 0);
        sf_plan_options options;
        ck_assert_int_ne(sf_plan_options_on_paper(ctx, &options), SF_OK);
        ck_assert_msg(strstr(sf_error_message(ctx), wrong[i][1]) != NULL, "%s",
                      sf_error_message(ctx));
        sf_context_free(ctx);
    }
}
END_TEST

Suite *suite_plugins_choose(void) {
    Suite *suite = suite_create("plugins_choose");
    TCase *tcase = tcase_create("choose");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_backend_is_chosen, 0, sizeof choices / sizeof *choices);
    tcase_add_test(tcase, the_option_beats_the_environment);
    tcase_add_test(tcase, a_very_long_choice_is_an_error_that_ends);
    tcase_add_test(tcase, auto_passes_over_what_does_not_open);
    tcase_add_test(tcase, auto_takes_the_highest_priority);
    tcase_add_test(tcase, auto_without_anything_usable_gives_all_reasons);
    tcase_add_test(tcase, the_fallback_is_another_plugin_with_host_memory);
    tcase_add_test(tcase, a_device_is_opened_once);
    tcase_add_test(tcase, without_reference_that_is_what_is_said);
    tcase_add_test(tcase, the_current_folder_is_never_searched);
    tcase_add_test(tcase, the_first_file_of_a_name_counts);
    tcase_add_test(tcase, the_list_describes_plugins_and_devices);
    tcase_add_test(tcase, a_device_may_be_worth_less_than_its_plugin);
    tcase_add_test(tcase, on_paper_no_device_is_opened);
    tcase_add_test(tcase, on_paper_a_plugin_must_be_usable);
    tcase_add_test(tcase, contexts_in_two_threads_run_at_once);
    suite_add_tcase(suite, tcase);
    return suite;
}
