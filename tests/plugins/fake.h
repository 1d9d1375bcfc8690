/*
 * What the tests see of the plugin in fake.c: counts of what was asked of it, and ways to make it
 * fail. The plugin's function fake_state_get() gives the one struct of the process.
 */
#ifndef SF_TESTS_PLUGINS_FAKE_H
#define SF_TESTS_PLUGINS_FAKE_H

#include <stdint.h>

typedef enum fake_failure { FAKE_FINE, FAKE_MESSAGE, FAKE_SILENT, FAKE_ODD_STATUS } fake_failure;

typedef struct fake_state {
    long live_backends, live_buffers, live_prepared;
    long n_background_uploads; /* beside the runs */
    long n_uploads, n_downloads, n_runs, n_synchronizes;
    uint64_t upload_bytes, download_bytes;
    long n_errors; /* addresses out of bounds, damaged memory, freed buffers: always 0 */

    /* Set by tests: the next such call fails. */
    fake_failure fail_run, fail_upload, fail_buffer, fail_prepare;
    uint64_t workspace; /* bytes that linear asks for */

    /*
     * When uploads beside the runs take place: as late as a plan may count on, or as early as they may
     * begin.
     */
    uint64_t library_bytes; /* of device memory, that it says it takes for itself */
    int late_uploads;
} fake_state;

/* Exported as "fake_state_get". */
typedef fake_state *fake_state_function(void);

#endif
