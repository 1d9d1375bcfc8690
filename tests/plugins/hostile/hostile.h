/*
 * For plugins that are wrong in one way each. They share one module: a test gives it the name of
 * the plugin that it wants by a link, and the loader finds the descriptor of that name.
 */
#ifndef SF_TESTS_PLUGINS_HOSTILE_H
#define SF_TESTS_PLUGINS_HOSTILE_H

#include "sfumato_plugin.h"

/* An entry and a list that are right. */
extern const sf_op_entry hostile_relu;
extern const sf_op_entry *const hostile_ops[1];

sf_status hostile_run(void *backend, const sf_op_call *call);

#define HOSTILE_COMMON(plugin)                                                                     \
    .magic = SF_PLUGIN_MAGIC, .abi_major = SF_PLUGIN_ABI_MAJOR, .abi_minor = SF_PLUGIN_ABI_MINOR,  \
    .struct_size = sizeof(sf_plugin), .flags = SF_PLUGIN_HOST_MEMORY, .name = #plugin,             \
    .version = "0.9", .description = "for tests", .n_ops = 1, .ops = hostile_ops

/* A descriptor is HOSTILE(name) = {HOSTILE_COMMON(name), ...}. */
#define HOSTILE(plugin)                                                                            \
    SF_PLUGIN_EXPORT extern const sf_plugin sf_plugin_##plugin;                                    \
    const sf_plugin sf_plugin_##plugin

#endif
