/*
 * One plugin file: opened, its constant descriptor checked before any of its code is called.
 */
#ifndef SF_PLUGINS_LOADER_H
#define SF_PLUGINS_LOADER_H

#include "core/backend.h"

#define SF_REASON_BYTES 512

typedef struct sf_loaded_plugin {
    char *file;                       /* owned */
    char *name;                       /* owned; the file's name without ".so" */
    void *handle;                     /* from dlopen; NULL: not usable */
    sf_plugin plugin;                 /* a copy; members that the plugin does not know are zero */
    sf_op_entry entries[SF_OP_COUNT]; /* likewise */
    char reason[SF_REASON_BYTES];     /* why it can't be used; "" if it can */
} sf_loaded_plugin;

/*
 * Opens file. A file that is no usable plugin is not an error: `reason` then says why. Fails only
 * without memory.
 */
sf_status sf_plugin_load(sf_context *ctx, const char *file, sf_loaded_plugin **loaded);
void sf_plugin_unload(sf_context *ctx, sf_loaded_plugin *loaded);

#endif
