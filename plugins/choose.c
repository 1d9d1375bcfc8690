/*
 * Choosing the backend: SFUMATO_BACKEND is "auto" (the usable plugin of the largest priority),
 * NAME, NAME:DEVICE, or such a list with ',' between, of which the first that can be opened is
 * taken. What is asked for by name and can't be had is an error that says why; nothing else is put
 * in its place.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "plugins/registry_internal.h"

#define REFERENCE   "reference"
#define MOST_DEVICE 1000

/* Reasons for which choices were passed over, joined by "; ". */
typedef struct reasons {
    char text[SF_ERROR_BYTES / 2];
    size_t used;
} reasons;

static void add_reason(reasons *all, const char *name, size_t name_length, const char *reason) {
    int length = snprintf(all->text + all->used, sizeof all->text - all->used, "%s%.*s: %s",
                          all->used ? "; " : "", (int)name_length, name, reason);
    if (length > 0)
        all->used += (size_t)length;
    if (all->used >= sizeof all->text)
        all->used = sizeof all->text - 1;
}

static void list_names(const struct sf_registry *registry, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < registry->n_plugins && used < bytes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "",
                                 registry->plugins[i]->name);
    if (!text[0])
        snprintf(text, bytes, "none at all; is SFUMATO_PLUGIN_PATH right?");
}

/*
 * "name" or "name:3", or the plugin alone without its device; the failure's message is the reason
 * alone.
 */
static sf_status open_item(struct sf_registry *registry, const char *item, size_t length,
                           bool on_paper, sf_backend **backend) {
    sf_context *ctx = registry->ctx;
    const char *colon = memchr(item, ':', length);
    size_t name_length = colon ? (size_t)(colon - item) : length;
    long device = 0;
    if (colon) {
        char *end;
        device = strtol(colon + 1, &end, 10);
        if (!isdigit((unsigned char)colon[1]) || end != item + length || device > MOST_DEVICE)
            SF_FAIL(ctx, ERROR_ARGUMENT, "\"%.*s\" is not a device number",
                    (int)(length - name_length - 1), colon + 1);
    }
    sf_loaded_plugin *plugin = sf_registry_find(registry, item, name_length);
    if (!plugin) {
        char names[SF_ERROR_BYTES / 4];
        list_names(registry, names, sizeof names);
        SF_FAIL(ctx, ERROR_NOT_FOUND, "there is no such plugin (found: %s)", names);
    }
    sf_status status =
        sf_registry_open(registry, plugin, on_paper ? SF_ON_PAPER : (int)device, backend);
    return status == SF_OK ? SF_OK : sf_fail_in(ctx, status, "%s", plugin->file);
}

static sf_status open_named(struct sf_registry *registry, const char *item, size_t length,
                            sf_backend **backend) {
    return open_item(registry, item, length, false, backend);
}

/* What "auto" goes by: the plugin's priority, unless its first device has one of its own. */
static int auto_priority(struct sf_registry *registry, sf_loaded_plugin *plugin) {
    sf_device_info device;
    if (plugin->reason[0] || sf_registry_probe(registry, plugin, 0, &device) != SF_OK ||
        !device.priority)
        return plugin->plugin.priority;
    return device.priority;
}

/*
 * The next plugin that "auto" tries, NULL past the last one: of those not tried yet the one of the
 * largest priority. They are sorted by the plugins' own, which are the most that a device has, so
 * devices are asked only as long as the next could be better than the best so far.
 */
static sf_loaded_plugin *next_best(struct sf_registry *registry, bool *tried) {
    size_t best = registry->n_plugins;
    int best_priority = 0;
    for (size_t i = 0; i < registry->n_plugins; i++) {
        sf_loaded_plugin *plugin = registry->plugins[i];
        if (tried[i])
            continue;
        if (best < registry->n_plugins && plugin->plugin.priority <= best_priority)
            break;
        int priority = auto_priority(registry, plugin);
        if (best == registry->n_plugins || priority > best_priority) {
            best = i;
            best_priority = priority;
        }
    }
    if (best == registry->n_plugins)
        return NULL;
    tried[best] = true;
    return registry->plugins[best];
}

static sf_status open_best_of(struct sf_registry *registry, bool *tried, sf_backend **backend,
                              reasons *why) {
    for (sf_loaded_plugin *plugin; (plugin = next_best(registry, tried));) {
        sf_status status = sf_registry_open(registry, plugin, 0, backend);
        if (status == SF_OK || status == SF_ERROR_MEMORY)
            return status;
        /* An argument can only be the user's own setting: better said than silently slow. */
        sf_log(registry->ctx, status == SF_ERROR_ARGUMENT ? SF_LOG_WARNING : SF_LOG_INFO,
               "%s passed over: %s", plugin->name, registry->ctx->error);
        add_reason(why, plugin->file, strlen(plugin->file), registry->ctx->error);
    }
    if (registry->n_plugins == 0)
        add_reason(why, "auto", 4, "no plugins were found; is SFUMATO_PLUGIN_PATH right?");
    return SF_ERROR_BACKEND;
}

static sf_status open_best(struct sf_registry *registry, sf_backend **backend, reasons *why) {
    bool *tried = SF_NEW_ARRAY(registry->ctx, bool, registry->n_plugins + 1);
    if (!tried)
        return SF_ERROR_MEMORY;
    sf_status status = open_best_of(registry, tried, backend, why);
    sf_free(registry->ctx, tried);
    return status;
}

static sf_status open_wanted(struct sf_registry *registry, const char *wanted,
                             sf_backend **backend) {
    reasons why = {.used = 0};
    sf_status status = SF_ERROR_ARGUMENT;
    for (const char *item = wanted; *item;) {
        size_t length = strcspn(item, ",");
        if (length == 4 && memcmp(item, "auto", 4) == 0) {
            status = open_best(registry, backend, &why);
        } else if (length) {
            status = open_named(registry, item, length, backend);
            if (status != SF_OK)
                add_reason(&why, item, length, registry->ctx->error);
        }
        if (status == SF_OK || status == SF_ERROR_MEMORY)
            return status;
        item += length + (item[length] == ',');
    }
    if (!why.used)
        add_reason(&why, wanted, strlen(wanted), "names no backend");
    return sf_fail(registry->ctx, status, "backend \"%s\" can't be had: %s", wanted, why.text);
}

/* The best other plugin whose memory is the host's. */
static sf_status open_fallback(struct sf_registry *registry, const sf_backend *chosen,
                               sf_backend **fallback) {
    for (size_t i = 0; i < registry->n_plugins; i++) {
        sf_loaded_plugin *plugin = registry->plugins[i];
        if (!plugin->handle || !(plugin->plugin.flags & SF_PLUGIN_HOST_MEMORY) ||
            strcmp(plugin->plugin.name, chosen->plugin.name) == 0)
            continue;
        sf_status status = sf_registry_open(registry, plugin, 0, fallback);
        if (status == SF_OK || status == SF_ERROR_MEMORY)
            return status;
    }
    return SF_OK;
}

static const char *wanted_backend(const sf_context *context) {
    const char *wanted = context->options.backend;
    if (!wanted)
        wanted = secure_getenv("SFUMATO_BACKEND");
    return wanted && *wanted ? wanted : "auto";
}

sf_status sf_context_open_backend(sf_context *context) {
    struct sf_registry *registry;
    if (context->backend)
        return SF_OK;
    SF_TRY(sf_registry_get(context, &registry));
    const char *wanted = wanted_backend(context);
    sf_backend *backend = NULL, *fallback = NULL;
    SF_TRY(open_wanted(registry, wanted, &backend));
    if (!context->options.strict)
        SF_TRY(open_fallback(registry, backend, &fallback));
    context->backend = backend;
    context->fallback = fallback;
    sf_log(context, SF_LOG_INFO, "backend %s, fallback %s", backend->name,
           fallback ? fallback->name : "none");
    return SF_OK;
}

sf_status sf_plan_options_for(sf_context *ctx, sf_plan_options *options) {
    SF_TRY(sf_context_open_backend(ctx));
    *options = (sf_plan_options){
        .backend = ctx->backend,
        .fallback = ctx->fallback,
        .offload = ctx->options.offload,
        .most_device_bytes = ctx->options.max_device_memory,
    };
    return SF_OK;
}

sf_status sf_plan_options_on_paper(sf_context *ctx, sf_plan_options *options) {
    struct sf_registry *registry;
    const char *wanted = wanted_backend(ctx);
    sf_backend *backend = NULL, *fallback = NULL;
    SF_TRY(sf_registry_get(ctx, &registry));
    if (strchr(wanted, ',') || strcmp(wanted, "auto") == 0) {
        SF_TRY(sf_plan_options_for(ctx, options));
        options->no_memory = true;
        return SF_OK;
    }
    sf_status status = open_item(registry, wanted, strlen(wanted), true, &backend);
    if (status != SF_OK)
        return sf_fail_in(ctx, status, "backend \"%s\" can't be had", wanted);
    if (!ctx->options.strict)
        SF_TRY(open_fallback(registry, backend, &fallback));
    *options = (sf_plan_options){.backend = backend, .fallback = fallback, .no_memory = true};
    return SF_OK;
}

void sf_registry_warn_of_fallbacks(sf_context *ctx) {
    if (ctx->backend && ctx->fallback)
        sf_backend_warn_of_fallbacks(ctx->backend, ctx->fallback->name);
}

sf_status sf_registry_open_reference(sf_context *ctx, sf_backend **backend) {
    struct sf_registry *registry;
    SF_TRY(sf_registry_get(ctx, &registry));
    sf_status status = open_named(registry, REFERENCE, strlen(REFERENCE), backend);
    return status == SF_OK ? SF_OK : sf_fail_in(ctx, status, "backend \"%s\"", REFERENCE);
}
