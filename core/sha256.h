/*
 * SHA-256 (FIPS 180-4) through nettle, for the hashes that name models and pictures.
 */
#ifndef SF_CORE_SHA256_H
#define SF_CORE_SHA256_H

#include "core/context.h"

#define SF_SHA256_HEX 65 /* 64 lower-case hex digits and a NUL */

void sf_sha256_bytes(const void *data, size_t bytes, char hex[SF_SHA256_HEX]);
sf_status sf_sha256_file(sf_context *ctx, const char *path, char hex[SF_SHA256_HEX]);

#endif
