/*
 * Opening plugin files that are wrong in every way one can think of: each ends in a line that says
 * why, beside its file's name, and no code of a refused plugin is run. The plugins are in
 * tests/plugins/hostile/.
 */
#include "plugins/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/plugins/plugins.h"
#include "tests/support/failing.h"
#include "tests/support/plans.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_plugins_loader(void);

/* The line of a plugin in the list of its context. */
static const sf_backend_info *find_info(sf_context *ctx, const char *name) {
    const sf_backend_info *infos;
    int n;
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    for (int i = 0; i < n; i++)
        if (strcmp(infos[i].name, name) == 0)
            return &infos[i];
    ck_abort_msg("%s is not in the list", name);
    return NULL;
}

/* `name` can't be had, for this reason: in the list, by name, and as the only choice of "auto". */
static void check_unusable(const char *folder, const char *name, const char *reason) {
    char file[256], plugin_file[64];
    snprintf(plugin_file, sizeof plugin_file, "/%s.so", name);
    for (int by_name = 0; by_name < 2; by_name++) {
        sf_context *ctx = plugin_context(folder, by_name ? name : "auto", 0);
        const sf_backend_info *info = find_info(ctx, name);
        ck_assert_msg(strstr(info->reason, reason), "%s: no \"%s\" in \"%s\"", name, reason,
                      info->reason);
        ck_assert_ptr_null(strchr(info->reason, '\n'));
        ck_assert_str_eq(info->device, "");
        ck_assert_ptr_nonnull(strstr(info->file, plugin_file));
        ck_assert_int_eq(info->selected, 0);
        snprintf(file, sizeof file, "%s", info->file);

        ck_assert_int_ne(sf_context_open_backend(ctx), SF_OK);
        const char *message = sf_error_message(ctx);
        ck_assert_msg(strstr(message, reason), "%s: no \"%s\" in \"%s\"", name, reason, message);
        ck_assert_msg(strstr(message, file), "%s: no \"%s\" in \"%s\"", name, file, message);
        ck_assert_ptr_null(strchr(message, '\n'));
        sf_context_free(ctx);
    }
}

/* ---- descriptors, lists, devices ---- */

static const struct {
    const char *name, *reason;
} refused[] = {
    {"wrong_magic", "not a Sfumato plugin: its descriptor starts with 0x464c457f"},
    {"other_major", "made for plugin ABI 2.7, this library has 1.3"},
    {"small_size", "its descriptor has 16 bytes"},
    {"truncated", "its descriptor claims"},
    {"one_byte", "its descriptor has 1 bytes"},
    {"a_function", "not a Sfumato plugin"},
    {"not_exported", "it exports no symbol sf_plugin_not_exported"},
    {"other_name", "its descriptor is of \"somebody_else\", its file of \"other_name\""},
    {"no_name", "\"(none)\""},
    {"no_ops", "it has no ops"},
    {"null_ops", "its list of 3 ops is missing"},
    {"many_ops", "its list of 4294967295 ops is too long"},
    {"open_alone", "open() and no close()"},
    {"buffer_alone", "buffer_new() and buffer_free()"},
    {"no_transfer", "without host memory it needs"},
    {"null_entry", "entry 1 of its list of ops is NULL"},
    {"entry_without_run", "its op silu has no run()"},
    {"entry_without_op", "entry 0 of its list of ops has no name"},
    {"small_entry", "entry 0 of its list of ops has 48 bytes"},
    {"prepare_alone", "its op silu has prepare() and no release()"},
    {"entry_twice", "has relu twice"},
    {"probe_fails", "probing device 0 hurts"},
    {"probe_silent", "a file can't be read or written"},
    {"no_device", "it has no device 0"},
};

START_TEST(a_refused_plugin_says_why) {
    check_unusable(test_plugins_alone(refused[_i].name), refused[_i].name, refused[_i].reason);
}
END_TEST

/* Device 0 is there, but opening it fails. */
static const struct {
    const char *name, *reason;
    sf_status status;
} failing[] = {
    {"open_message", "the driver has left, device 0", SF_ERROR_BACKEND},
    {"open_silent", "valid, but not supported", SF_ERROR_UNSUPPORTED},
    {"open_odd", "a backend failed or can't be had", SF_ERROR_BACKEND},
    {"open_confused", "no status for this", SF_ERROR_BACKEND},
};

START_TEST(a_device_that_does_not_open_says_why) {
    const char *folder = test_plugins_alone(failing[_i].name);
    for (int by_name = 0; by_name < 2; by_name++) {
        sf_context *ctx = plugin_context(folder, by_name ? failing[_i].name : "auto", 0);
        sf_fail(ctx, SF_ERROR_IO, "stale");
        ck_fails(ctx, sf_context_open_backend(ctx), by_name ? failing[_i].status : SF_ERROR_BACKEND,
                 failing[_i].reason);
        ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), failing[_i].name));
        ck_assert_ptr_null(strstr(sf_error_message(ctx), "stale"));
        ck_assert_ptr_null(ctx->backend);
        sf_context_free(ctx);
    }
}
END_TEST

/* Other sizes and versions, unknown members and ops, absent texts: no reason to refuse. */
START_TEST(plugins_of_other_versions_work) {
    static const char *const names[] = {"newer", "older", "terse", "extra_ops"};
    sf_context *ctx = plugin_context(test_plugins_alone(names[_i]), names[_i], 0);
    ck_ok(ctx, sf_context_open_backend(ctx));
    ck_assert_str_eq(ctx->backend->name, names[_i]);
    ck_assert_ptr_nonnull((void *)(uintptr_t)ctx->backend->entries[SF_OP_relu].run);
    ck_assert_ptr_null((void *)(uintptr_t)ctx->backend->plugin.synchronize);
    ck_assert_ptr_null((void *)(uintptr_t)ctx->backend->plugin.probe);
    const sf_backend_info *info = find_info(ctx, names[_i]);
    ck_assert_str_eq(info->reason, "");
    ck_assert_str_eq(info->device, "host");
    ck_assert_int_eq(info->selected, 1);
    ck_assert_ptr_nonnull(info->version);
    sf_context_free(ctx);
}
END_TEST

/* Every index is a device, the strings are not ended. */
START_TEST(an_endless_list_of_devices_ends) {
    sf_context *ctx = plugin_context(test_plugins_alone("endless"), NULL, 0);
    const sf_backend_info *infos;
    int n;
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    ck_assert_int_gt(n, 1);
    ck_assert_int_le(n, 64);
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, i ? "endless:%d" : "endless", i);
        ck_assert_str_eq(infos[i].name, name);
        ck_assert_uint_eq(strlen(infos[i].device), 127);
        ck_assert_uint_eq(strlen(infos[i].types), 63);
    }
    sf_context_free(ctx);
}
END_TEST

START_TEST(a_broken_second_device_does_not_take_the_first_along) {
    sf_context *ctx = plugin_context(test_plugins_alone("half_broken"), "half_broken", 0);
    ck_ok(ctx, sf_context_open_backend(ctx));
    const sf_backend_info *good = find_info(ctx, "half_broken");
    ck_assert_str_eq(good->device, "good one");
    ck_assert_str_eq(good->reason, "");
    const sf_backend_info *bad = find_info(ctx, "half_broken:1");
    ck_assert_str_eq(bad->reason, "device 1 is on fire");
    ck_assert_str_eq(bad->device, "");
    sf_context_free(ctx);
}
END_TEST

START_TEST(absurd_scratch_is_refused) {
    sf_context *ctx = plugin_context(test_plugins_alone("greedy"), "greedy", 1);
    sf_graph *graph;
    sf_plan *plan = NULL;
    ck_ok(ctx, sf_context_open_backend(ctx));
    sf_plan_options options = {.backend = ctx->backend};
    ck_ok(ctx, sf_graph_new(ctx, NULL, &graph));
    sf_value x = sf_input(graph, "x", SF_F32, SF_DIMS(3));
    sf_output(graph, "y", sf_unary(graph, SF_OP_relu, x));
    ck_fails(ctx, sf_plan_new(ctx, graph, &options, &plan), SF_ERROR_MEMORY, "bytes of scratch");
    sf_context_free(ctx);
}
END_TEST

/* ---- files ---- */

static void copy_file(const char *from, const char *to_name, const char *replace,
                      const char *with) {
    size_t bytes, n_replaced = 0;
    char *data = test_read_file(from, &bytes);
    for (size_t i = 0; replace && i + strlen(replace) <= bytes; i++)
        if (memcmp(data + i, replace, strlen(replace)) == 0) {
            memcpy(data + i, with, strlen(with));
            n_replaced++;
        }
    ck_assert(!replace || n_replaced > 0);
    scratch_write(to_name, data, bytes);
    free(data);
}

START_TEST(files_that_are_no_plugins_say_why) {
    scratch_write("text.so", "I am a text.\n", 13);
    scratch_write("empty.so", "", 0);
    scratch_write("magic_only.so", "\177ELF", 4);
    scratch_write("two.dots.so", "x", 1);
    scratch_write("bad-name.so", "x", 1);
    ck_assert_int_eq(mkdir(scratch("folder.so"), 0777), 0);
    ck_assert_int_eq(mkfifo(scratch("pipe.so"), 0666), 0);
    ck_assert_int_eq(symlink("nowhere", scratch("dangling.so")), 0);
    ck_assert_int_eq(symlink("loop.so", scratch("loop.so")), 0);
    /* One that wants a library that is not there. */
    copy_file(test_build("tests/plugins/.libs/fake.so"), "fake.so", "libc.so.6", "libx.so.6");

    static const struct {
        const char *name, *reason;
    } files[] = {
        {"text", "can't be loaded: "},
        {"empty", "can't be loaded: "},
        {"magic_only", "can't be loaded: "},

        {"folder", "not a regular file"},
        {"pipe", "not a regular file"},
        {"dangling", "No such file"},
        {"loop", "can't be read"},
        {"two.dots", "a plugin's name has"},
        {"bad-name", "a plugin's name has"},
        {"fake", "libx.so.6"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        sf_context *ctx = plugin_context(scratch(""), files[i].name, 0);
        const sf_backend_info *info = find_info(ctx, files[i].name);
        ck_assert_msg(strstr(info->reason, files[i].reason), "%s: no \"%s\" in \"%s\"",
                      files[i].name, files[i].reason, info->reason);
        ck_fails(ctx, sf_context_open_backend(ctx), SF_ERROR_BACKEND, files[i].reason);
        ck_assert_ptr_nonnull(strstr(sf_error_message(ctx), info->file));
        sf_context_free(ctx);
    }
}
END_TEST

/* Its code starts at byte 4096 or later, so that all of these lack some. dlopen() would die of it. */
START_TEST(a_file_that_was_cut_short_says_so) {
    size_t bytes;
    char *module = test_read_file(test_build("tests/plugins/.libs/hostile.so"), &bytes);
    ck_assert_uint_gt(bytes, 4096);
    for (size_t length = 1; length <= 4096; length += 1 + length / 3) {
        scratch_write("newer.so", module, length);
        sf_context *ctx = plugin_context(scratch(""), "newer", 0);
        const sf_backend_info *info = find_info(ctx, "newer");
        const char *part = length > 64 ? "cut short" : "can't be loaded";
        ck_assert_msg(strstr(info->reason, part), "%zu bytes: %s", length, info->reason);
        sf_context_free(ctx);
    }
    free(module);
}
END_TEST

START_TEST(an_unreadable_file_says_so) {
    const uid_t user = geteuid(), nobody = 65534;
    copy_file(test_build("tests/plugins/.libs/fake.so"), "fake.so", NULL, NULL);
    ck_assert_int_eq(chmod(scratch("fake.so"), 0), 0);
    ck_assert_int_eq(chmod(scratch(""), 0755), 0);
    if (user == 0) /* to whom every file is readable */
        ck_assert_int_eq(seteuid(nobody), 0);
    if (eaccess(scratch(""), R_OK | X_OK) == 0) /* else a folder above it is root's alone */
        check_unusable(scratch(""), "fake", "Permission denied");
    if (user == 0)
        ck_assert_int_eq(seteuid(user), 0);
}
END_TEST

START_TEST(other_files_are_not_looked_at) {
    static const char *const names[] = {"README",     "fake.la",   ".so",
                                        ".hidden.so", "fake.so.1", "fake.so~"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        scratch_write(names[i], "x", 1);
    sf_context *ctx = plugin_context(scratch(""), NULL, 0);
    const sf_backend_info *infos;
    int n;
    ck_ok(ctx, sf_backend_list(ctx, &infos, &n));
    for (int i = 0; i < n; i++)
        ck_assert_ptr_null(strstr(infos[i].file, scratch("")));
    if (n == 0) /* none is installed either */
        ck_fails(ctx, sf_context_open_backend(ctx), SF_ERROR_BACKEND, "no plugins were found");
    sf_context_free(ctx);
}
END_TEST

/* ---- memory ---- */

static sf_status list_and_open(sf_context *ctx, void *user) {
    const sf_backend_info *infos;
    int n;
    ctx->options.plugin_path = user;
    sf_status status = sf_backend_list(ctx, &infos, &n);
    if (status == SF_OK)
        status = sf_context_open_backend(ctx);
    close_backends(ctx);
    ctx->options.plugin_path = NULL;
    return status;
}

START_TEST(each_allocation_can_fail) {
    check_each_allocation(list_and_open,
                          (void *)test_plugins("wrong_magic fake newer extra_ops half_broken"), 0);
}
END_TEST

Suite *suite_plugins_loader(void) {
    Suite *suite = suite_create("plugins_loader");
    TCase *tcase = tcase_create("loader");
    tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tcase, a_refused_plugin_says_why, 0, sizeof refused / sizeof *refused);
    tcase_add_loop_test(tcase, a_device_that_does_not_open_says_why, 0,
                        sizeof failing / sizeof *failing);
    tcase_add_loop_test(tcase, plugins_of_other_versions_work, 0, 4);
    tcase_add_test(tcase, an_endless_list_of_devices_ends);
    tcase_add_test(tcase, a_broken_second_device_does_not_take_the_first_along);
    tcase_add_test(tcase, absurd_scratch_is_refused);
    tcase_add_test(tcase, files_that_are_no_plugins_say_why);
    tcase_add_test(tcase, a_file_that_was_cut_short_says_so);
    tcase_add_test(tcase, an_unreadable_file_says_so);
    tcase_add_test(tcase, other_files_are_not_looked_at);
    tcase_add_test(tcase, each_allocation_can_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
