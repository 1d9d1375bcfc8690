/*
 * Which model folder a command means. See model.h.
 */
#include "cli/model.h"

#include "cli/session.h"

char *find_model(sf_context *context, const char *given) {
    char *folder = NULL;
    if (sf_find_model(context, given, &folder) == SF_OK)
        return folder;
    session_failed(context);
    return NULL;
}
