/* Reading, mapping and writing files, and paths. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io/file.h"
#include "core/memory.h"
#include "core/process.h"
#include "tests/support/failing.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_io_file(void);

static sf_context *ctx;

static void setup(void) {
    ctx = test_context();
    scratch_setup();
}

static void teardown(void) {
    scratch_teardown();
    test_context_free(ctx);
}

static void assert_content(const char *path, const char *wanted) {
    char *data;
    size_t size;
    ck_ok(ctx, sf_file_read(ctx, path, 1000, &data, &size));
    ck_assert_uint_eq(size, strlen(wanted));
    ck_assert_str_eq(data, wanted);
    sf_free(ctx, data);
}

START_TEST(a_file_is_read_whole) {
    char *data;
    size_t size;
    scratch_write("f", "a\0b", 3);
    ck_ok(ctx, sf_file_read(ctx, scratch("f"), 3, &data, &size));
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(data, "a\0b\0", 4);
    sf_free(ctx, data);
    ck_fails(ctx, sf_file_read(ctx, scratch("f"), 2, &data, &size), SF_ERROR_FORMAT,
             "/f: larger than the 2 bytes");
    scratch_write("empty", "", 0);
    assert_content(scratch("empty"), "");
    ck_ok(ctx, sf_file_read(ctx, "/dev/null", 0, &data, &size));
    ck_assert_uint_eq(size, 0);
    sf_free(ctx, data);
    ck_fails(ctx, sf_file_read(ctx, "/dev/zero", 100000, &data, &size), SF_ERROR_FORMAT,
             "larger than the 100000 bytes");
}
END_TEST

START_TEST(large_files_and_pipes_are_read_whole) {
    enum { BYTES = 50000 };
    static char content[BYTES];
    char *data, path[64];
    size_t size;
    int ends[2];
    for (int i = 0; i < BYTES; i++)
        content[i] = (char)(i * 7);
    scratch_write("large", content, BYTES);
    ck_ok(ctx, sf_file_read(ctx, scratch("large"), BYTES, &data, &size));
    ck_assert_uint_eq(size, BYTES);
    ck_assert_mem_eq(data, content, BYTES);
    sf_free(ctx, data);
    ck_assert_int_eq(pipe(ends), 0); /* holds 64 KiB */
    ck_assert_int_eq(write(ends[1], content, BYTES), BYTES);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    ck_ok(ctx, sf_file_read(ctx, path, BYTES, &data, &size));
    ck_assert_uint_eq(size, BYTES);
    ck_assert_mem_eq(data, content, BYTES);
    sf_free(ctx, data);
    close(ends[0]);
}
END_TEST

START_TEST(what_cannot_be_read_says_why) {
    char *data;
    size_t size;
    sf_mapping mapping;
    ck_fails(ctx, sf_file_read(ctx, scratch("no"), 9, &data, &size), SF_ERROR_IO,
             "/no: can't be opened: No such file or directory");
    ck_fails(ctx, sf_file_read(ctx, scratch(""), 9, &data, &size), SF_ERROR_IO, "Is a directory");
    ck_fails(ctx, sf_file_map(ctx, scratch("no"), &mapping), SF_ERROR_IO,
             "/no: can't be opened: No such file or directory");
    ck_fails(ctx, sf_file_map(ctx, scratch(""), &mapping), SF_ERROR_IO, "Is a directory");
    ck_fails(ctx, sf_file_map(ctx, "/dev/null", &mapping), SF_ERROR_IO, "not a regular file");
    ck_assert_int_eq(mkfifo(scratch("fifo"), 0600), 0);
    ck_fails(ctx, sf_file_map(ctx, scratch("fifo"), &mapping), SF_ERROR_IO, "not a regular file");
    if (geteuid() == 0)
        return; /* root may read everything */
    scratch_write("secret", "x", 1);
    ck_assert_int_eq(chmod(scratch("secret"), 0), 0);
    ck_fails(ctx, sf_file_map(ctx, scratch("secret"), &mapping), SF_ERROR_IO, "Permission denied");
}
END_TEST

START_TEST(a_mapping_has_the_bytes) {
    sf_mapping mapping;
    scratch_write("f", "content", 7);
    ck_ok(ctx, sf_file_map(ctx, scratch("f"), &mapping));
    ck_assert_uint_eq(mapping.bytes, 7);
    ck_assert_mem_eq(mapping.memory, "content", 7);
    sf_file_unmap(mapping.memory, mapping.bytes);
    scratch_write("empty", "", 0);
    ck_ok(ctx, sf_file_map(ctx, scratch("empty"), &mapping));
    ck_assert_uint_eq(mapping.bytes, 0);
    sf_file_unmap(mapping.memory, mapping.bytes);
}
END_TEST

static int64_t sum(const unsigned char *bytes, size_t count) {
    int64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += bytes[i];
    return total;
}

/* Of 8 MiB that were read, at least 7 leave the process, and are there again when read again. */
START_TEST(pages_leave_and_come_back) {
    const size_t bytes = (size_t)8 << 20;
    const uint64_t most = (uint64_t)7 << 20;
    unsigned char *content = malloc(bytes);
    sf_mapping mapping;
    memset(content, 1, bytes);
    scratch_write("large", content, bytes);
    free(content);
    ck_ok(ctx, sf_file_map(ctx, scratch("large"), &mapping));
    for (int i = 0; i < 3; i++) {
        sf_file_advise(mapping.memory, mapping.bytes, true);
        uint64_t before = sf_process_resident_bytes();
        ck_assert_int_eq(sum(mapping.memory, mapping.bytes), (int64_t)bytes);
        uint64_t full = sf_process_resident_bytes();
        sf_file_advise(mapping.memory, mapping.bytes, false);
        uint64_t after = sf_process_resident_bytes();
        if (full == 0) /* the system does not tell */
            break;
        ck_assert_uint_ge(full, before + most);
        ck_assert_uint_ge(full, after + most);
    }
    sf_file_advise(NULL, 0, false);
    sf_file_unmap(mapping.memory, mapping.bytes);
}
END_TEST

START_TEST(writing_replaces_the_file_at_the_end) {
    sf_writer *writer;
    scratch_write("f", "old", 3);
    ck_assert_int_eq(chmod(scratch("f"), 0640), 0);
    ck_ok(ctx, sf_writer_open(ctx, scratch("f"), &writer));
    ck_ok(ctx, sf_writer_write(writer, "new", 3));
    ck_ok(ctx, sf_writer_write(writer, "er", 2));
    assert_content(scratch("f"), "old");
    ck_assert_int_eq(scratch_count(), 2);
    ck_ok(ctx, sf_writer_commit(writer));
    assert_content(scratch("f"), "newer");
    ck_assert_int_eq(scratch_count(), 1);
    struct stat info;
    ck_assert_int_eq(stat(scratch("f"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
}
END_TEST

START_TEST(a_new_file_has_the_umasks_permissions) {
    struct stat info;
    umask(027);
    ck_ok(ctx, sf_file_write(ctx, scratch("f"), "x", 1));
    ck_assert_int_eq(stat(scratch("f"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0640);
}
END_TEST

START_TEST(a_discarded_file_leaves_nothing) {
    sf_writer *writer;
    scratch_write("f", "old", 3);
    ck_ok(ctx, sf_writer_open(ctx, scratch("f"), &writer));
    ck_ok(ctx, sf_writer_write(writer, "new", 3));
    sf_writer_discard(writer);
    sf_writer_discard(NULL);
    assert_content(scratch("f"), "old");
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(writes_of_all_sizes_arrive_in_order) {
    enum { BYTES = 300000 };
    static char content[BYTES];
    static const size_t steps[] = {1, 65536, 65535, 3, 0, 65537, 100000, 1};
    sf_writer *writer;
    char *data;
    size_t size, done = 0;
    for (int i = 0; i < BYTES; i++)
        content[i] = (char)(i * 13 + i / 256);
    ck_ok(ctx, sf_writer_open(ctx, scratch("f"), &writer));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        ck_ok(ctx, sf_writer_write(writer, content + done, steps[i]));
        done += steps[i];
    }
    ck_ok(ctx, sf_writer_commit(writer));
    ck_ok(ctx, sf_file_read(ctx, scratch("f"), BYTES, &data, &size));
    ck_assert_uint_eq(size, done);
    ck_assert_mem_eq(data, content, done);
    sf_free(ctx, data);
}
END_TEST

START_TEST(links_stay_and_their_target_is_replaced) {
    struct stat info;
    scratch_write("target", "old", 3);
    ck_assert_int_eq(symlink("target", scratch("link")), 0);
    ck_ok(ctx, sf_file_write(ctx, scratch("link"), "new", 3));
    ck_assert_int_eq(lstat(scratch("link"), &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    assert_content(scratch("target"), "new");
}
END_TEST

START_TEST(the_longest_name_can_be_written) {
    char name[NAME_MAX + 1];
    memset(name, 'x', NAME_MAX);
    name[NAME_MAX] = '\0';
    ck_ok(ctx, sf_file_write(ctx, scratch(name), "x", 1));
    assert_content(scratch(name), "x");
}
END_TEST

START_TEST(paths_without_a_folder_are_written_too) {
    ck_assert_int_eq(chdir(scratch("")), 0);
    ck_ok(ctx, sf_file_write(ctx, "plain", "x", 1));
    assert_content(scratch("plain"), "x");
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

START_TEST(what_is_no_regular_file_is_written_directly) {
    struct stat info;
    ck_ok(ctx, sf_file_write(ctx, "/dev/null", "x", 1));
    ck_assert_int_eq(stat("/dev/null", &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
    char got[4] = "";
    int ends[2];
    char path[64];
    ck_assert_int_eq(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    ck_ok(ctx, sf_file_write(ctx, path, "abc", 3));
    ck_assert_int_eq(read(ends[0], got, 3), 3);
    ck_assert_str_eq(got, "abc");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_full_disk_is_reported) {
    static char content[200000];
    ck_fails(ctx, sf_file_write(ctx, "/dev/full", "x", 1), SF_ERROR_IO,
             "/dev/full: can't be written: No space left on device");
    ck_fails(ctx, sf_file_write(ctx, "/dev/full", content, sizeof content), SF_ERROR_IO,
             "/dev/full: can't be written: No space left on device");
}
END_TEST

START_TEST(what_cannot_be_written_says_why) {
    scratch_write("f", "old", 3);
    ck_fails(ctx, sf_file_write(ctx, scratch(""), "x", 1), SF_ERROR_IO, "Is a directory");
    ck_fails(ctx, sf_file_write(ctx, scratch("no/f"), "x", 1), SF_ERROR_IO,
             "/no/f: can't be created: No such file or directory");
    ck_fails(ctx, sf_file_write(ctx, scratch("f/g"), "x", 1), SF_ERROR_IO, "Not a directory");
    ck_fails(ctx, sf_file_write(ctx, scratch("no/"), "x", 1), SF_ERROR_IO, "can't be created");
    ck_fails(ctx, sf_file_write(ctx, "", "x", 1), SF_ERROR_IO, "can't be created");
    ck_assert_int_eq(scratch_count(), 1);
    if (geteuid() == 0)
        return; /* root may write everywhere */
    ck_assert_int_eq(chmod(scratch("f"), 0400), 0);
    ck_fails(ctx, sf_file_write(ctx, scratch("f"), "x", 1), SF_ERROR_IO, "Permission denied");
    ck_assert_int_eq(chmod(scratch(""), 0500), 0);
    ck_fails(ctx, sf_file_write(ctx, scratch("g"), "x", 1), SF_ERROR_IO,
             "/g: can't be created: Permission denied");
}
END_TEST

START_TEST(paths) {
    static const struct {
        const char *folder, *name, *wanted;
    } cases[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = sf_path_join(ctx, cases[i].folder, cases[i].name);
        ck_assert_str_eq(path, cases[i].wanted);
        sf_free(ctx, path);
    }
    ck_assert_str_eq(sf_path_base("a/b/c"), "c");
    ck_assert_str_eq(sf_path_base("c"), "c");
    ck_assert_str_eq(sf_path_base("c/"), "");
    ck_assert(sf_path_is_plain_name("a..b") && sf_path_is_plain_name(".a"));
    ck_assert(!sf_path_is_plain_name("") && !sf_path_is_plain_name("..") &&
              !sf_path_is_plain_name(".") && !sf_path_is_plain_name("a/b") &&
              !sf_path_is_plain_name("/a"));
    ck_assert(sf_path_has_suffix("x.json", ".json") && !sf_path_has_suffix("json", ".json"));
    scratch_write("f", "", 0);
    ck_assert(sf_path_is_file(scratch("f")) && !sf_path_is_folder(scratch("f")));
    ck_assert(sf_path_is_folder(scratch("")) && !sf_path_is_file(scratch("")));
    ck_assert(!sf_path_is_file(scratch("g")) && !sf_path_is_folder(scratch("g")));
}
END_TEST

static sf_status write_and_read(sf_context *failing, void *user) {
    char *data;
    size_t size;
    const char *path = user;
    SF_TRY(sf_file_write(failing, path, "abc", 3));
    SF_TRY(sf_file_read(failing, path, 3, &data, &size));
    sf_free(failing, data);
    return SF_OK;
}

START_TEST(every_allocation_may_fail) {
    check_each_allocation(write_and_read, (char *)scratch("f"), 0);
    ck_assert_int_eq(scratch_count(), 1);
}
END_TEST

Suite *suite_io_file(void) {
    Suite *suite = suite_create("io/file");
    TCase *tcase = tcase_create("file");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_file_is_read_whole);
    tcase_add_test(tcase, large_files_and_pipes_are_read_whole);
    tcase_add_test(tcase, what_cannot_be_read_says_why);
    tcase_add_test(tcase, a_mapping_has_the_bytes);
    tcase_add_test(tcase, pages_leave_and_come_back);
    tcase_add_test(tcase, writing_replaces_the_file_at_the_end);
    tcase_add_test(tcase, a_new_file_has_the_umasks_permissions);
    tcase_add_test(tcase, a_discarded_file_leaves_nothing);
    tcase_add_test(tcase, writes_of_all_sizes_arrive_in_order);
    tcase_add_test(tcase, links_stay_and_their_target_is_replaced);
    tcase_add_test(tcase, the_longest_name_can_be_written);
    tcase_add_test(tcase, paths_without_a_folder_are_written_too);
    tcase_add_test(tcase, what_is_no_regular_file_is_written_directly);
    tcase_add_test(tcase, a_full_disk_is_reported);
    tcase_add_test(tcase, what_cannot_be_written_says_why);
    tcase_add_test(tcase, paths);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
    return suite;
}
