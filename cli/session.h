/*
 * What every command that computes shares: a context with the command line's choices, messages and
 * progress on stderr, Ctrl-C.
 */
#ifndef SF_CLI_SESSION_H
#define SF_CLI_SESSION_H

#include "cli/options.h"
#include "sfumato.h"

/* Options that go into the context; part of each command's struct. */
typedef struct session_options {
    const char *backend;
    const char *plugin_path;
    bool strict;
    bool quiet;
    bool verbose;
    uint64_t max_memory;        /* bytes; 0: no limit */
    uint64_t max_device_memory; /* bytes; 0: all that the device has */
    bool offload;
} session_options;

/* Rows of their own, for commands that run models. */
#define MEMORY_OPTIONS(type)                                                                       \
    {"max-memory",                                                                                 \
     0,                                                                                            \
     OPTION_SIZE,                                                                                  \
     "SIZE",                                                                                       \
     "keep within SIZE (600M, 2G): read weights again where they don't fit",                       \
     offsetof(type, session.max_memory),                                                           \
     0,                                                                                            \
     0},                                                                                           \
        {"offload",                                                                                \
         0,                                                                                        \
         OPTION_FLAG,                                                                              \
         NULL,                                                                                     \
         "GPU: bring weights in as they are needed, where they don't fit",                         \
         offsetof(type, session.offload),                                                          \
         0,                                                                                        \
         0},                                                                                       \
    {                                                                                              \
        "max-device-memory", 0, OPTION_SIZE, "SIZE", "GPU: take no more of its memory than SIZE",  \
            offsetof(type, session.max_device_memory), 0, 0                                        \
    }

/* Rows for a command's table; `type` is the command's struct, which has a member `session`. */
#define SESSION_OPTIONS(type)                                                                        \
    {"backend",                                                                                      \
     'b',                                                                                            \
     OPTION_TEXT,                                                                                    \
     "NAME",                                                                                         \
     "auto, a name, name:device, or a list of them",                                                 \
     offsetof(type, session.backend),                                                                \
     0,                                                                                              \
     0},                                                                                             \
        {"plugin-path",                                                                              \
         0,                                                                                          \
         OPTION_TEXT,                                                                                \
         "DIRS",                                                                                     \
         "more plugin folders, ':' between",                                                         \
         offsetof(type, session.plugin_path),                                                        \
         0,                                                                                          \
         0},                                                                                         \
        {"strict",                                                                                   \
         0,                                                                                          \
         OPTION_FLAG,                                                                                \
         NULL,                                                                                       \
         "an op that the backend lacks is an error",                                                 \
         offsetof(type, session.strict),                                                             \
         0,                                                                                          \
         0},                                                                                         \
        {"quiet", 'q', OPTION_FLAG, NULL, "no progress, only errors", offsetof(type, session.quiet), \
         0,       0},                                                                                \
    {                                                                                                \
        "verbose", 'v', OPTION_FLAG, NULL, "tell more", offsetof(type, session.verbose), 0, 0        \
    }

/*
 * A context whose progress is drawn on stderr and which Ctrl-C cancels. Prints the reason if it
 * can't be made. One session at a time.
 */
sf_context *session_open(const session_options *options);
void session_close(sf_context *context);

/* Where preview pictures go: a file that is replaced after each step. NULL: none. */
void session_set_preview(const char *file);

/* "sfumato: MESSAGE" with the context's last error on stderr; returns EXIT_FAILED. */
int session_failed(const sf_context *context);

/* stdout flushed and checked: EXIT_DONE, or EXIT_FAILED with a line on stderr. */
int finish_stdout(void);

#endif
