/*
 * The built library: it exports include/sfumato.sym and nothing else, and needs the libraries that
 * it is known to need. Devices belong to plugins: no driver or BLAS may come in through the core.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/command.h"
#include "tests/support/support.h"

Suite *suite_build_library(void);

/* stdout of a shell's command line, whose "$1" is a file of the build tree. */
static char *run(const char *line, const char *file) {
    struct command_result result;
    command_run(&result, (struct command){.arguments = (const char *[]){"sh", "-c", line, "sh",
                                                                        test_build(file), NULL},
                                          .environment = (const char *[]){"LC_ALL=C", NULL}});
    ck_assert_msg(result.status == 0, "%s: %s", line, result.err);
    free(result.err);
    return result.out;
}

START_TEST(exports_its_list_and_no_more) {
    char *found = run("nm -D --defined-only --format=posix \"$1\" | cut -d' ' -f1 | sort",
                      ".libs/libsfumato.so");
    char *wanted = test_read_file(test_source("include/sfumato.sym"), NULL);
    ck_assert_str_eq(found, wanted);
    free(found);
    free(wanted);
}
END_TEST

/* Beginnings of names; the sanitizers' own libraries come with --enable-sanitizers. */
static const char *const expected[] = {
    "libjansson.so", "libnettle.so", "libpng16.so", "libutf8proc.so", "libz.so",
    "libm.so",       "libc.so",      "libdl.so",    "libpthread.so",  "libgcc_s.so",
    "libasan.so",    "libubsan.so",  "libtsan.so",  "libclang_rt",    "ld-linux"};

static void check_needed(const char *file) {
    char *needed = run("readelf -d \"$1\" | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\]/\\1/p'", file);
    ck_assert_ptr_nonnull(strstr(needed, "libc.so"));
    for (char *name = strtok(needed, "\n"); name; name = strtok(NULL, "\n")) {
        int known = 0;
        for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
            known |= strncmp(name, expected[i], strlen(expected[i])) == 0;
        ck_assert_msg(known, "%s needs %s", file, name);
    }
    free(needed);
}

START_TEST(needs_known_libraries_alone) {
    check_needed(".libs/libsfumato.so");
    check_needed("plugins/.libs/reference.so");
}
END_TEST

/* The definition of the ops depends on nothing but C. */
START_TEST(reference_needs_no_other_library) {
    char *needed = run("readelf -d \"$1\" | grep NEEDED | grep -c -E "
                       "'jansson|nettle|png|utf8proc|sfumato' || true",
                       "plugins/.libs/reference.so");
    ck_assert_str_eq(needed, "0\n");
    free(needed);
}
END_TEST

/* State that is shared would be writable data: there is none but what the C compiler adds. */
START_TEST(library_has_no_writable_globals) {
    char *found = run("nm --defined-only --format=sysv \"$1\" | awk -F'|' '$4 ~ /OBJECT/ && "
                      "$7 ~ /^[.](data|bss)$/ && $1 !~ /^(completed|__)/ {print $1}'",
                      ".libs/libsfumato.so");
    ck_assert_str_eq(found, "");
    free(found);
}
END_TEST

Suite *suite_build_library(void) {
    Suite *suite = suite_create("build_library");
    TCase *tcase = tcase_create("library");
    tcase_add_test(tcase, exports_its_list_and_no_more);
    tcase_add_test(tcase, needs_known_libraries_alone);
    tcase_add_test(tcase, reference_needs_no_other_library);
    tcase_add_test(tcase, library_has_no_writable_globals);
    suite_add_tcase(suite, tcase);
    return suite;
}
