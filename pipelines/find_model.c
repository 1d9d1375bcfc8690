/*
 * Finding the models that ship with Sfumato: sf_find_model() of sfumato.h.
 */
#include <stdlib.h>
#include <string.h>

#include "core/io/file.h"
#include "core/memory.h"

#define DEFAULT_MODEL "emoji"

/* FOLDER/models/NAME, if that is a folder; *found stays NULL otherwise. */
static sf_status try_folder(sf_context *ctx, const char *folder, size_t length, const char *name,
                            char **found) {
    char *path = sf_format(ctx, "%.*s/models/%s", (int)length, folder, name);
    if (!path)
        return SF_ERROR_MEMORY;
    if (sf_path_is_folder(path))
        *found = path;
    else
        sf_free(ctx, path);
    return SF_OK;
}

static sf_status try_path(sf_context *ctx, const char *path, const char *name, char **found) {
    while (path && *path && !*found) {
        size_t length = strcspn(path, ":");
        if (length)
            SF_TRY(try_folder(ctx, path, length, name, found));
        path += length + (path[length] == ':');
    }
    return SF_OK;
}

sf_status sf_find_model(sf_context *context, const char *name, char **folder) {
    char *found = NULL;
    if (name && sf_path_is_folder(name)) {
        found = sf_strdup(context, name);
        if (!found)
            return SF_ERROR_MEMORY;
        *folder = found;
        return SF_OK;
    }
    const char *wanted = name ? name : DEFAULT_MODEL;
    if (sf_path_is_plain_name(wanted)) {
        SF_TRY(try_path(context, secure_getenv("SFUMATO_DATA_PATH"), wanted, &found));
        SF_TRY(try_path(context, SF_DATA_DIR, wanted, &found));
    }
    if (!found)
        SF_FAIL(context, ERROR_NOT_FOUND,
                "there is no model \"%s\": neither a folder of that path, nor %s/models/%s, nor "
                "models/%s in a folder of SFUMATO_DATA_PATH",
                wanted, SF_DATA_DIR, wanted, wanted);
    *folder = found;
    return SF_OK;
}
