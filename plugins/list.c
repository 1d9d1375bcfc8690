/*
 * Plugins and devices in words: what `sfumato backends` shows.
 */
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "plugins/registry_internal.h"

/* A plugin that never says "past the last one" is not asked for ever. */
#define MOST_DEVICES 64

/* A copy that lives as long as the registry. */
static const char *keep(struct sf_registry *registry, const char *text) {
    sf_context *ctx = registry->ctx;
    if (sf_grow(ctx, (void **)&registry->texts, &registry->texts_capacity, registry->n_texts + 1,
                sizeof *registry->texts) != SF_OK)
        return NULL;
    char *copy = sf_strdup(ctx, text ? text : "");
    if (copy)
        registry->texts[registry->n_texts++] = copy;
    return copy;
}

static sf_status add_info(struct sf_registry *registry, const sf_loaded_plugin *plugin,
                          const char *name, const sf_device_info *device, const char *reason) {
    SF_TRY(sf_grow(registry->ctx, (void **)&registry->infos, &registry->infos_capacity,
                   registry->n_infos + 1, sizeof *registry->infos));
    sf_backend_info info = {
        .name = keep(registry, name),
        .file = plugin->file,
        .version = keep(registry, plugin->handle ? plugin->plugin.version : ""),
        .device = keep(registry, device->name),
        .reason = keep(registry, reason),
        .types = keep(registry, device->types),
        .memory_bytes = device->memory_bytes,
        .priority = !plugin->handle    ? 0
                    : device->priority ? device->priority
                                       : plugin->plugin.priority,
    };
    if (!info.name || !info.version || !info.device || !info.reason || !info.types)
        return SF_ERROR_MEMORY;
    registry->infos[registry->n_infos++] = info;
    return SF_OK;
}

static sf_status describe_plugin(struct sf_registry *registry, sf_loaded_plugin *plugin) {
    sf_context *ctx = registry->ctx;
    sf_device_info device = {0};
    if (plugin->reason[0])
        return add_info(registry, plugin, plugin->name, &device, plugin->reason);
    for (int index = 0; index < MOST_DEVICES; index++) {
        char name[300];
        char reason[SF_REASON_BYTES];
        snprintf(name, sizeof name, index ? "%s:%d" : "%s", plugin->name, index);
        sf_status status = sf_registry_probe(registry, plugin, index, &device);
        if (status == SF_ERROR_NOT_FOUND && index > 0)
            return SF_OK;
        snprintf(reason, sizeof reason, "%.*s", (int)sizeof reason - 1,
                 status == SF_OK ? "" : ctx->error);
        if (status != SF_OK)
            device = (sf_device_info){0};
        SF_TRY(add_info(registry, plugin, name, &device, reason));
        if (status != SF_OK)
            return SF_OK;
    }
    return SF_OK;
}

sf_status sf_backend_list(sf_context *context, const sf_backend_info **backends, int *n_backends) {
    struct sf_registry *registry;
    SF_TRY(sf_registry_get(context, &registry));
    if (registry->n_infos == 0)
        for (size_t i = 0; i < registry->n_plugins; i++) {
            sf_status status = describe_plugin(registry, registry->plugins[i]);
            if (status != SF_OK) {
                registry->n_infos = 0;
                return status;
            }
        }
    for (size_t i = 0; i < registry->n_infos; i++)
        registry->infos[i].selected =
            context->backend && strcmp(context->backend->name, registry->infos[i].name) == 0;
    *backends = registry->infos;
    *n_backends = (int)registry->n_infos;
    return SF_OK;
}
