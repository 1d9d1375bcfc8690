/*
 * What nearly every test needs: a context, paths of data, and assertions on a status that show the
 * context's message. Folders to write in: scratch.h; failing allocations: failing.h; running the
 * command: command.h.
 */
#ifndef SF_TESTS_SUPPORT_SUPPORT_H
#define SF_TESTS_SUPPORT_SUPPORT_H

#include <check.h>
#include <string.h>

#include "sfumato.h"

/* A fresh context that logs nothing. */
sf_context *test_context(void);
void test_context_free(sf_context *ctx);

/* The path of a file in tests/data, in the emoji model, in the source tree and in the build tree;
 * a ring of 16 static buffers. */
const char *test_data(const char *relative);
const char *test_model(const char *relative);
const char *test_source(const char *relative);
const char *test_build(const char *relative);

/* The whole file, NUL-terminated, to be freed; *bytes (may be NULL) without the NUL. */
char *test_read_file(const char *path, size_t *bytes);

/* The status must be SF_OK. */
#define ck_ok(ctx, expression)                                                                     \
    do {                                                                                           \
        sf_status ck_status_ = (expression);                                                       \
        ck_assert_msg(ck_status_ == SF_OK, "%s: %s: %s", #expression, sf_status_text(ck_status_),  \
                      sf_error_message(ctx));                                                      \
    } while (0)

/* The status must be `status` (SF_ERROR_...), and the message must have `part` in it. */
#define ck_fails(ctx, expression, status, part)                                                    \
    do {                                                                                           \
        sf_status ck_status_ = (expression);                                                       \
        ck_assert_msg(ck_status_ == (status), "%s: '%s', not '%s': %s", #expression,               \
                      sf_status_text(ck_status_), sf_status_text(status), sf_error_message(ctx));  \
        ck_assert_msg(strstr(sf_error_message(ctx), (part)), "%s: no \"%s\" in \"%s\"",            \
                      #expression, (part), sf_error_message(ctx));                                 \
    } while (0)

#endif
