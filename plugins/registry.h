/*
 * The plugins of a context: found, checked, listed, and the one chosen that SFUMATO_BACKEND asks
 * for.
 */
#ifndef SF_PLUGINS_REGISTRY_H
#define SF_PLUGINS_REGISTRY_H

#include "core/plan.h"

/*
 * The context's backend and, unless it is strict, its fallback. Opens them at the first call. What
 * a plan or an sf_eager is made with.
 */
sf_status sf_plan_options_for(sf_context *ctx, sf_plan_options *options);

/*
 * The same for plans that only count (no_memory): of the plugin that SFUMATO_BACKEND names no device
 * is opened, so there need not be one. "auto" and lists choose among devices that are there.
 */
sf_status sf_plan_options_on_paper(sf_context *ctx, sf_plan_options *options);

/* Tells what ran on the fallback since the last call; nothing before a backend is open. */
void sf_registry_warn_of_fallbacks(sf_context *ctx);

/* The `reference` backend of this context, opened at the first call. */
sf_status sf_registry_open_reference(sf_context *ctx, sf_backend **backend);

#endif
