/*
 * Lists of ops that the loader refuses, and odd ones that it must take.
 */
#include <stddef.h>

#include "tests/plugins/hostile/hostile.h"

sf_status hostile_run(void *backend, const sf_op_call *call) {
    (void)backend;
    (void)call;
    return SF_OK;
}

const sf_op_entry hostile_relu = {
    .struct_size = sizeof(sf_op_entry), .op = "relu", .run = hostile_run};
const sf_op_entry *const hostile_ops[1] = {&hostile_relu};

#define WITH_OPS(plugin, ...)                                                                      \
    static const sf_op_entry *const ops_of_##plugin[] = {__VA_ARGS__};                             \
    HOSTILE(plugin) = {                                                                            \
        .magic = SF_PLUGIN_MAGIC,                                                                  \
        .abi_major = SF_PLUGIN_ABI_MAJOR,                                                          \
        .abi_minor = SF_PLUGIN_ABI_MINOR,                                                          \
        .struct_size = sizeof(sf_plugin),                                                          \
        .flags = SF_PLUGIN_HOST_MEMORY,                                                            \
        .name = #plugin,                                                                           \
        .version = "0.9",                                                                          \
        .n_ops = sizeof ops_of_##plugin / sizeof *ops_of_##plugin,                                 \
        .ops = ops_of_##plugin,                                                                    \
    }

/* ---- refused ---- */

static sf_status prepare(void *backend, const sf_op_call *call, void **prepared) {
    (void)backend;
    (void)call;
    *prepared = NULL;
    return SF_OK;
}

static const sf_op_entry no_run = {.struct_size = sizeof(sf_op_entry), .op = "silu"};
static const sf_op_entry no_op = {.struct_size = sizeof(sf_op_entry), .run = hostile_run};
static const sf_op_entry small = {
    .struct_size = offsetof(sf_op_entry, run), .op = "silu", .run = hostile_run};
static const sf_op_entry no_release = {
    .struct_size = sizeof(sf_op_entry), .op = "silu", .prepare = prepare, .run = hostile_run};

WITH_OPS(null_entry, &hostile_relu, NULL);
WITH_OPS(entry_without_run, &hostile_relu, &no_run);
WITH_OPS(entry_without_op, &no_op);
WITH_OPS(small_entry, &small);
WITH_OPS(prepare_alone, &no_release);
WITH_OPS(entry_twice, &hostile_relu, &hostile_relu);

/* ---- fine ---- */

static const sf_op_entry unknown = {
    .struct_size = sizeof(sf_op_entry), .op = "fold_space", .run = hostile_run};

/* An entry of a later library: more members behind. */
typedef struct newer_entry {
    sf_op_entry known;
    void *more[3];
} newer_entry;

static const newer_entry newer = {
    .known = {.struct_size = sizeof(newer_entry), .op = "silu", .run = hostile_run}};

WITH_OPS(extra_ops, &unknown, &hostile_relu, &unknown, &newer.known);
