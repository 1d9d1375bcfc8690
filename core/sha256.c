/*
 * SHA-256 through nettle. See sha256.h.
 */
#include "core/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <nettle/version.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"

#define READ_BYTES 65536

static void finish(struct sha256_ctx *hash, char hex[SF_SHA256_HEX]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(hash, digest);
#else
    sha256_digest(hash, sizeof digest, digest);
#endif
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * sizeof digest] = '\0';
}

void sf_sha256_bytes(const void *data, size_t bytes, char hex[SF_SHA256_HEX]) {
    struct sha256_ctx hash;
    sha256_init(&hash);
    sha256_update(&hash, bytes, data);
    finish(&hash, hex);
}

static sf_status hash_open_file(sf_context *ctx, int fd, const char *path, uint8_t *buffer,
                                struct sha256_ctx *hash) {
    for (;;) {
        ssize_t got = read(fd, buffer, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            char reason[128];
            SF_FAIL(ctx, ERROR_IO, "%s: can't be read: %s", path,
                    strerror_r(errno, reason, sizeof reason));
        }
        if (got == 0)
            return SF_OK;
        sha256_update(hash, (size_t)got, buffer);
    }
}

sf_status sf_sha256_file(sf_context *ctx, const char *path, char hex[SF_SHA256_HEX]) {
    struct sha256_ctx hash;
    sha256_init(&hash);
    uint8_t *buffer = SF_NEW_ARRAY(ctx, uint8_t, READ_BYTES);
    if (!buffer)
        return SF_ERROR_MEMORY;
    sf_status status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        char reason[128];
        status = sf_fail(ctx, SF_ERROR_IO, "%s: can't be opened: %s", path,
                         strerror_r(errno, reason, sizeof reason));
    } else {
        status = hash_open_file(ctx, fd, path, buffer, &hash);
        close(fd);
    }
    if (status == SF_OK)
        finish(&hash, hex);
    sf_free(ctx, buffer);
    return status;
}
