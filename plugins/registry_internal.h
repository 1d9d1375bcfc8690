/*
 * The registry's own struct, shared by its three files: registry.c finds plugins and opens devices,
 * choose.c reads SFUMATO_BACKEND, list.c describes them for people.
 */
#ifndef SF_PLUGINS_REGISTRY_INTERNAL_H
#define SF_PLUGINS_REGISTRY_INTERNAL_H

#include "plugins/loader.h"
#include "plugins/registry.h"

/* An opened device. */
typedef struct sf_open_backend {
    sf_backend backend;
    sf_loaded_plugin *plugin; /* borrowed */
    int device;               /* SF_ON_PAPER: none, its functions of calls alone may be asked */
} sf_open_backend;

#define SF_ON_PAPER (-1)

struct sf_registry {
    sf_context *ctx;
    sf_host host;               /* for probe() */
    sf_loaded_plugin **plugins; /* the largest priority first, unusable ones last */
    size_t n_plugins, plugins_capacity;
    sf_open_backend **open;
    size_t n_open, open_capacity;
    sf_backend_info *infos; /* what sf_backend_list() gave last */
    size_t n_infos, infos_capacity;
    void **texts; /* strings of infos */
    size_t n_texts, texts_capacity;
};

/* The context's registry; finds the plugins at the first call. */
sf_status sf_registry_get(sf_context *ctx, struct sf_registry **registry);

/*
 * Opens device `index` of a plugin (or, SF_ON_PAPER, none), or gives the one that is open. The failure's message is the
 * reason alone: the caller says which backend and why it was wanted.
 */
sf_status sf_registry_open(struct sf_registry *registry, sf_loaded_plugin *plugin, int index,
                           sf_backend **backend);

sf_loaded_plugin *sf_registry_find(const struct sf_registry *registry, const char *name,
                                   size_t name_length);

/*
 * Asks a plugin about one device; fills a generic answer where it has no probe(). A failure always
 * has a message.
 */
sf_status sf_registry_probe(struct sf_registry *registry, sf_loaded_plugin *plugin, int index,
                            sf_device_info *device);

#endif
