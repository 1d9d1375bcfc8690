/*
 * Descriptors that the loader refuses, and odd ones that it must take.
 */
#include <stddef.h>

#include "tests/plugins/hostile/hostile.h"

#define HEAD(plugin_name)                                                                          \
    .magic = SF_PLUGIN_MAGIC, .abi_major = SF_PLUGIN_ABI_MAJOR, .abi_minor = SF_PLUGIN_ABI_MINOR,  \
    .struct_size = sizeof(sf_plugin), .name = #plugin_name, .version = "0.9"
#define OPS .n_ops = 1, .ops = hostile_ops

/* ---- head ---- */

HOSTILE(wrong_magic) = {
    .magic = 0x464c457f,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .name = "wrong_magic",
    OPS,
};

HOSTILE(other_major) = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR + 1,
    .abi_minor = 7,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .name = "other_major",
    OPS,
};

HOSTILE(small_size) = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .struct_size = 16,
    .flags = SF_PLUGIN_HOST_MEMORY,
    .name = "small_size",
    OPS,
};

/* A symbol that is shorter than it claims to be: what stands behind it is not to be read. */
typedef struct head_alone {
    uint32_t magic;
    uint16_t abi_major, abi_minor;
    uint32_t struct_size;
} head_alone;

SF_PLUGIN_EXPORT extern const head_alone sf_plugin_truncated;
const head_alone sf_plugin_truncated = {SF_PLUGIN_MAGIC, SF_PLUGIN_ABI_MAJOR, 0, sizeof(sf_plugin)};

SF_PLUGIN_EXPORT extern const char sf_plugin_one_byte;
const char sf_plugin_one_byte = 'S';

SF_PLUGIN_EXPORT int sf_plugin_a_function(void);
int sf_plugin_a_function(void) {
    return 1;
}

/* ---- members ---- */

HOSTILE(other_name) = {HEAD(somebody_else), .flags = SF_PLUGIN_HOST_MEMORY, OPS};

HOSTILE(no_name) = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    OPS,
};

HOSTILE(no_ops) = {HEAD(no_ops), .flags = SF_PLUGIN_HOST_MEMORY};

HOSTILE(null_ops) = {HEAD(null_ops), .flags = SF_PLUGIN_HOST_MEMORY, .n_ops = 3};

HOSTILE(many_ops) = {HEAD(many_ops), .flags = SF_PLUGIN_HOST_MEMORY, .n_ops = 0xffffffff,
                     .ops = hostile_ops};

static sf_status opens(const sf_host *host, int index, void **backend) {
    (void)index;
    *backend = (void *)host;
    return SF_OK;
}

static void closes(void *backend) {
    (void)backend;
}

static sf_status makes_buffer(void *backend, uint64_t bytes, void **buffer) {
    (void)bytes;
    *buffer = backend;
    return SF_OK;
}

static void frees_buffer(void *backend, void *buffer) {
    (void)backend;
    (void)buffer;
}

HOSTILE(open_alone) = {HEAD(open_alone), .flags = SF_PLUGIN_HOST_MEMORY, OPS, .open = opens};

HOSTILE(buffer_alone) = {HEAD(buffer_alone), .flags = SF_PLUGIN_HOST_MEMORY, OPS,
                         .buffer_new = makes_buffer};

HOSTILE(no_transfer) = {
    HEAD(no_transfer),           OPS, .open = opens, .close = closes, .buffer_new = makes_buffer,
    .buffer_free = frees_buffer,
};

/* ---- fine ---- */

/* A later library's: more members, and code that this library never calls. */
typedef struct newer_plugin {
    sf_plugin known;
    void (*unheard_of)(void);
    uint64_t more[4];
} newer_plugin;

SF_PLUGIN_EXPORT extern const newer_plugin sf_plugin_newer;
const newer_plugin sf_plugin_newer = {
    .known =
        {
            .magic = SF_PLUGIN_MAGIC,
            .abi_major = SF_PLUGIN_ABI_MAJOR,
            .abi_minor = SF_PLUGIN_ABI_MINOR + 3,
            .struct_size = sizeof(newer_plugin),
            .flags = SF_PLUGIN_HOST_MEMORY | 0x80000000u,
            .name = "newer",
            .version = "9.0",
            OPS,
        },
    .more = {1, 2, 3, 4},
};

/* An older one's: it ends where probe() would be, and something else follows. */
typedef struct older_plugin {
    uint32_t magic;
    uint16_t abi_major, abi_minor;
    uint32_t struct_size, flags;
    int32_t priority;
    uint32_t n_ops;
    const char *name, *version, *description;
    const sf_op_entry *const *ops;
} older_plugin;

_Static_assert(sizeof(older_plugin) == offsetof(sf_plugin, probe), "the oldest descriptor");

SF_PLUGIN_EXPORT extern const older_plugin sf_plugin_older;
const older_plugin sf_plugin_older = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .struct_size = sizeof(older_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .n_ops = 1,
    .name = "older",
    .version = "0.1",
    .ops = hostile_ops,
};

/* No version, no description. */
HOSTILE(terse) = {
    .magic = SF_PLUGIN_MAGIC,
    .abi_major = SF_PLUGIN_ABI_MAJOR,
    .struct_size = sizeof(sf_plugin),
    .flags = SF_PLUGIN_HOST_MEMORY,
    .name = "terse",
    OPS,
};
