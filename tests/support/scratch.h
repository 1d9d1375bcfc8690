/*
 * A folder of a test's own, for the files that it writes. Fixtures: add with
 * tcase_add_checked_fixture(tcase, scratch_setup, scratch_teardown).
 */
#ifndef SF_TESTS_SUPPORT_SCRATCH_H
#define SF_TESTS_SUPPORT_SCRATCH_H

#include <stddef.h>

void scratch_setup(void);
void scratch_teardown(void); /* removes the folder and the files in it */

/* The path of a file or subfolder in the folder; a ring of 8 static buffers. "" is the folder. */
const char *scratch(const char *name);

void scratch_write(const char *name, const void *data, size_t bytes);

/* The number of entries, hidden ones too: a test of "no file is left" needs it. */
int scratch_count(void);

#endif
