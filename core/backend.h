/*
 * A live backend: an opened device of a plugin, behind checked and completed tables.
 *
 * core knows a backend only through this file; finding and opening plugins is plugins/registry.h.
 * Every function works for plugins with and without host memory.
 */
#ifndef SF_CORE_BACKEND_H
#define SF_CORE_BACKEND_H

#include "core/op.h"
#include "core/tensor.h"

typedef struct sf_backend sf_backend;

/* How often an op ran on the fallback. */
typedef struct sf_fallback_count {
    sf_op_id op;
    uint64_t n_runs;
    uint64_t bytes_copied; /* between the two backends */
} sf_fallback_count;

struct sf_backend {
    sf_context *ctx;                  /* borrowed */
    const char *name;                 /* "reference", "cuda:1"; owned by the registry */
    sf_plugin plugin;                 /* a copy; members that the plugin does not know are zero */
    sf_host host;                     /* what the plugin was handed */
    uint64_t device_bytes;            /* the device's memory as it says, 0: not known */
    void *instance;                   /* the plugin's own */
    sf_op_entry entries[SF_OP_COUNT]; /* copies by op; run NULL: the plugin lacks it */
    struct sf_residents *residents;   /* constants that were copied to the device */
    sf_fallback_count fallbacks[SF_OP_COUNT]; /* by op: what plans of this backend ran elsewhere */
};

/*
 * Logs a warning for each op that ran on the fallback since the last call:
 * "group_norm ran on cpu 61x, 1.2 GB copied". For the end of whatever the user asked for.
 */
void sf_backend_warn_of_fallbacks(sf_backend *backend, const char *fallback);

bool sf_backend_has_host_memory(const sf_backend *backend);

/* Whether the backend has the op and supports the call (buffers need not be set). */
bool sf_backend_supports(const sf_backend *backend, sf_op_id op, const sf_op_call *call);

/* Bit i: the op's output may be exactly input i. */
uint32_t sf_backend_in_place(const sf_backend *backend, sf_op_id op);

/* Host and device memory that the backend takes for itself, as it says; 0 where it says nothing. */
uint64_t sf_backend_memory_bytes(const sf_backend *backend);
uint64_t sf_backend_device_memory_bytes(const sf_backend *backend);

/*
 * Around a call of the plugin: a status that is none becomes SF_ERROR_BACKEND, and a failure that
 * left no message gets one, instead of that of an earlier failure.
 *
 *     sf_backend_mark mark = sf_backend_enter(b);
 *     status = sf_backend_leave(b, mark, b->plugin.upload(...));
 */
typedef char sf_backend_mark;
sf_backend_mark sf_backend_enter(sf_backend *backend);
sf_status sf_backend_leave(sf_backend *backend, sf_backend_mark mark, sf_status status);

/* Device memory, aligned to 256 bytes, not zeroed. */
sf_status sf_backend_buffer_new(sf_backend *backend, uint64_t bytes, void **buffer);
void sf_backend_buffer_free(sf_backend *backend, void *buffer);
sf_status sf_backend_upload(sf_backend *backend, void *buffer, uint64_t offset, const void *source,
                            uint64_t bytes);
sf_status sf_backend_download(sf_backend *backend, void *destination, void *buffer, uint64_t offset,
                              uint64_t bytes);
sf_status sf_backend_synchronize(sf_backend *backend);
/* As sf_plugin.start_upload and await_upload, of a backend that has them. */
sf_status sf_backend_start_upload(sf_backend *backend, uint32_t slot, void *buffer, uint64_t offset,
                                  const void *source, uint64_t bytes);
sf_status sf_backend_await_upload(sf_backend *backend, uint32_t slot);

/* What the backend did so far. false: it does not count, and *counters is untouched. */
bool sf_backend_read_counters(sf_backend *backend, sf_backend_counters *counters);

/*
 * A constant's place on the device: one part with host memory is the host's own bytes, anything else
 * a copy of all parts that the plans of the backend share. Each acquire needs a release. A constant
 * is known by addresses and sizes: one without bytes may have the address of another.
 */
sf_status sf_backend_acquire_constant(sf_backend *backend, const sf_part *parts, size_t n_parts,
                                      void **buffer);
void sf_backend_release_constant(sf_backend *backend, const sf_part *parts, size_t n_parts);

#endif
