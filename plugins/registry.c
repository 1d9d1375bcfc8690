/*
 * Finding the plugins and opening their devices. See registry.h.
 *
 * Folders: SFUMATO_PLUGIN_PATH (or the context's option), then the package's own. The current
 * folder is never searched, and the variable is ignored in a setuid program. The first file of a
 * name counts.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "plugins/registry_internal.h"

/* ---- what a plugin is handed ---- */

static void host_log(const sf_host *host, sf_log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sf_log_v(host->user, level, format, arguments);
    va_end(arguments);
}

static sf_status host_fail(const sf_host *host, sf_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    sf_fail_v(host->user, status == SF_OK ? SF_ERROR_BACKEND : status, format, arguments);
    va_end(arguments);
    return status == SF_OK ? SF_ERROR_BACKEND : status;
}

static void *host_resize(const sf_host *host, void *block, size_t bytes) {
    sf_context *ctx = host->user;
    void *resized = ctx->options.allocator.resize(ctx->options.allocator.user, block, bytes);
    if (!resized && bytes)
        sf_fail(ctx, SF_ERROR_MEMORY, "out of memory: %zu bytes", bytes);
    return resized;
}

static sf_host host_of(sf_context *ctx) {
    return (sf_host){
        .struct_size = sizeof(sf_host),
        .abi_major = SF_PLUGIN_ABI_MAJOR,
        .abi_minor = SF_PLUGIN_ABI_MINOR,
        .user = ctx,
        .log = host_log,
        .fail = host_fail,
        .resize = host_resize,
    };
}

/* ---- finding ---- */

static bool is_plugin_name(const char *name) {
    size_t length = strlen(name);
    return name[0] != '.' && length > 3 && strcmp(name + length - 3, ".so") == 0;
}

sf_loaded_plugin *sf_registry_find(const struct sf_registry *registry, const char *name,
                                   size_t name_length) {
    for (size_t i = 0; i < registry->n_plugins; i++)
        if (strlen(registry->plugins[i]->name) == name_length &&
            memcmp(registry->plugins[i]->name, name, name_length) == 0)
            return registry->plugins[i];
    return NULL;
}

static sf_status add_file(struct sf_registry *registry, const char *folder, size_t folder_length,
                          const char *name) {
    sf_context *ctx = registry->ctx;
    if (sf_registry_find(registry, name, strlen(name) - 3))
        return SF_OK;
    SF_TRY(sf_grow(ctx, (void **)&registry->plugins, &registry->plugins_capacity,
                   registry->n_plugins + 1, sizeof *registry->plugins));
    char *file = sf_format(ctx, "%.*s/%s", (int)folder_length, folder, name);
    if (!file)
        return SF_ERROR_MEMORY;
    sf_loaded_plugin *loaded = NULL;
    sf_status status = sf_plugin_load(ctx, file, &loaded);
    sf_free(ctx, file);
    SF_TRY(status);
    registry->plugins[registry->n_plugins++] = loaded;
    if (loaded->reason[0])
        sf_log(ctx, SF_LOG_INFO, "%s: %s", loaded->file, loaded->reason);
    return SF_OK;
}

static sf_status add_folder(struct sf_registry *registry, const char *folder, size_t length) {
    sf_context *ctx = registry->ctx;
    char *path = sf_strndup(ctx, folder, length);
    if (!path)
        return SF_ERROR_MEMORY;
    DIR *open_folder = opendir(path);
    if (!open_folder)
        sf_log(ctx, SF_LOG_DEBUG, "%s: no plugins: %s", path, strerror(errno));
    sf_free(ctx, path);
    if (!open_folder)
        return SF_OK;
    sf_status status = SF_OK;
    for (struct dirent *entry; status == SF_OK && (entry = readdir(open_folder));)
        if (is_plugin_name(entry->d_name))
            status = add_file(registry, folder, length, entry->d_name);
    closedir(open_folder);
    return status;
}

/* Folders with ':' between; empty ones, which would be the current folder, are passed over. */
static sf_status add_path(struct sf_registry *registry, const char *path) {
    while (path && *path) {
        size_t length = strcspn(path, ":");
        if (length)
            SF_TRY(add_folder(registry, path, length));
        path += length + (path[length] == ':');
    }
    return SF_OK;
}

static int by_priority(const void *a, const void *b) {
    const sf_loaded_plugin *x = *(sf_loaded_plugin *const *)a, *y = *(sf_loaded_plugin *const *)b;
    if (!x->handle != !y->handle)
        return x->handle ? -1 : 1;
    if (x->plugin.priority != y->plugin.priority)
        return x->plugin.priority > y->plugin.priority ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* ---- devices ---- */

/* What a plugin's probe() or open() returned, as a status with a message. */
static sf_status check_message(sf_context *ctx, sf_status status) {
    if ((unsigned)status > SF_ERROR_INTERNAL)
        status = SF_ERROR_BACKEND;
    if (status == SF_OK || ctx->error[0])
        return status;
    return sf_fail(ctx, status, "%s", sf_status_text(status));
}

sf_status sf_registry_probe(struct sf_registry *registry, sf_loaded_plugin *plugin, int index,
                            sf_device_info *device) {
    sf_context *ctx = registry->ctx;
    sf_status status = index == 0 ? SF_OK : SF_ERROR_NOT_FOUND;
    *device = (sf_device_info){.struct_size = sizeof *device};
    snprintf(device->name, sizeof device->name, "host");
    ctx->error[0] = '\0';
    if (plugin->plugin.probe) {
        device->name[0] = '\0';
        status = plugin->plugin.probe(&registry->host, index, device);
        device->name[sizeof device->name - 1] = device->types[sizeof device->types - 1] = '\0';
    }
    if (status == SF_ERROR_NOT_FOUND && !ctx->error[0])
        return sf_fail(ctx, status, "it has no device %d", index);
    return check_message(ctx, status);
}

/* The plugin without what needs a device: supports, workspace and cost of its entries are pure. */
static sf_plugin on_paper(const sf_plugin *plugin) {
    sf_plugin paper = *plugin;
    paper.open = NULL;
    paper.close = NULL;
    paper.buffer_new = NULL;
    paper.buffer_free = NULL;
    paper.upload = NULL;
    paper.download = NULL;
    paper.synchronize = NULL;
    paper.memory_bytes = NULL;
    paper.read_counters = NULL;
    return paper;
}

static sf_status open_device(struct sf_registry *registry, sf_loaded_plugin *plugin, int index,
                             sf_open_backend *made) {
    sf_context *ctx = registry->ctx;
    sf_device_info device;
    sf_status status = SF_OK;
    if (index != SF_ON_PAPER)
        status = sf_registry_probe(registry, plugin, index, &device);
    if (status != SF_OK)
        return status == SF_ERROR_NOT_FOUND ? SF_ERROR_BACKEND : status;

    made->plugin = plugin;
    made->device = index;
    made->backend.ctx = ctx;
    made->backend.plugin = index == SF_ON_PAPER ? on_paper(&plugin->plugin) : plugin->plugin;
    made->backend.host = host_of(ctx);
    made->backend.device_bytes = device.memory_bytes;
    made->backend.instance = &made->backend.host;
    memcpy(made->backend.entries, plugin->entries, sizeof made->backend.entries);
    made->backend.name =
        index > 0 ? sf_format(ctx, "%s:%d", plugin->name, index) : sf_strdup(ctx, plugin->name);
    if (!made->backend.name)
        return SF_ERROR_MEMORY;
    if (!made->backend.plugin.open)
        return SF_OK;
    ctx->error[0] = '\0';
    status = plugin->plugin.open(&made->backend.host, index, &made->backend.instance);
    if (status != SF_OK)
        sf_free(ctx, (char *)made->backend.name);
    return check_message(ctx, status);
}

sf_status sf_registry_open(struct sf_registry *registry, sf_loaded_plugin *plugin, int index,
                           sf_backend **backend) {
    sf_context *ctx = registry->ctx;
    if (plugin->reason[0])
        SF_FAIL(ctx, ERROR_BACKEND, "%s", plugin->reason);
    for (size_t i = 0; i < registry->n_open; i++)
        if (registry->open[i]->plugin == plugin && registry->open[i]->device == index) {
            *backend = &registry->open[i]->backend;
            return SF_OK;
        }
    SF_TRY(sf_grow(ctx, (void **)&registry->open, &registry->open_capacity, registry->n_open + 1,
                   sizeof *registry->open));
    sf_open_backend *made = SF_NEW(ctx, sf_open_backend);
    if (!made)
        return SF_ERROR_MEMORY;
    sf_status status = open_device(registry, plugin, index, made);
    if (status != SF_OK) {
        sf_free(ctx, made);
        return status;
    }
    registry->open[registry->n_open++] = made;
    *backend = &made->backend;
    return SF_OK;
}

/* ---- life ---- */

static void registry_free(struct sf_registry *registry) {
    sf_context *ctx = registry->ctx;
    for (size_t i = 0; i < registry->n_open; i++) {
        sf_open_backend *open = registry->open[i];
        if (open->backend.plugin.close)
            open->backend.plugin.close(open->backend.instance);
        sf_free(ctx, (char *)open->backend.name);
        sf_free(ctx, open);
    }
    for (size_t i = 0; i < registry->n_plugins; i++)
        sf_plugin_unload(ctx, registry->plugins[i]);
    for (size_t i = 0; i < registry->n_texts; i++)
        sf_free(ctx, registry->texts[i]);
    sf_free(ctx, registry->texts);
    sf_free(ctx, registry->infos);
    sf_free(ctx, registry->open);
    sf_free(ctx, registry->plugins);
    sf_free(ctx, registry);
}

sf_status sf_registry_get(sf_context *ctx, struct sf_registry **registry) {
    if (ctx->registry) {
        *registry = ctx->registry;
        return SF_OK;
    }
    struct sf_registry *made = SF_NEW(ctx, struct sf_registry);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = ctx;
    made->host = host_of(ctx);
    const char *path = ctx->options.plugin_path;
    sf_status status = add_path(made, path ? path : secure_getenv("SFUMATO_PLUGIN_PATH"));
    if (status == SF_OK)
        status = add_path(made, SF_PLUGIN_DIR);
    if (status != SF_OK) {
        registry_free(made);
        return status;
    }
    if (made->n_plugins)
        qsort(made->plugins, made->n_plugins, sizeof *made->plugins, by_priority);
    ctx->registry = made;
    ctx->free_registry = registry_free;
    *registry = made;
    return SF_OK;
}
