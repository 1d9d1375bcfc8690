/*
 * Compiled programs kept on disk, so that the second start compiles nothing. See opencl.h.
 *
 * A file has the program after a head of magic, size and checksum: what was cut short or damaged is
 * not handed to the driver.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/gpu/opencl/opencl.h"

#define MOST_BYTES ((uint64_t)256 << 20)
#define MOST_PATH  4096

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *byte = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t hash_text(uint64_t hash, const char *text) {
    return hash_bytes(hash, text, strlen(text) + 1);
}

opencl_cache_key opencl_cache_key_of(const gpu_device *device, const char *text,
                                     const char *options) {
    static const cl_device_info device_texts[] = {CL_DEVICE_NAME, CL_DEVICE_VENDOR,
                                                  CL_DEVICE_VERSION, CL_DRIVER_VERSION};
    char value[512];
    opencl_cache_key key;
    uint64_t hashes[2] = {HASH_START, hash_text(HASH_START, "second")};
    for (int h = 0; h < 2; h++) {
        for (size_t i = 0; i < sizeof device_texts / sizeof *device_texts; i++) {
            value[0] = '\0';
            clGetDeviceInfo(device->id, device_texts[i], sizeof value - 1, value, NULL);
            value[sizeof value - 1] = '\0';
            hashes[h] = hash_text(hashes[h], value);
        }
        value[0] = '\0';
        clGetPlatformInfo(device->platform, CL_PLATFORM_VERSION, sizeof value - 1, value, NULL);
        value[sizeof value - 1] = '\0';
        hashes[h] = hash_text(hash_text(hash_text(hashes[h], value), options), text);
    }
    snprintf(key.name, sizeof key.name, "opencl-%016llx%016llx.bin", (unsigned long long)hashes[0],
             (unsigned long long)hashes[1]);
    return key;
}

/* ---- the folder ---- */

static bool folder_of(char *folder, size_t bytes) {
    const char *base = secure_getenv("XDG_CACHE_HOME");
    int length;
    if (base && base[0] == '/') {
        length = snprintf(folder, bytes, "%s/sfumato", base);
    } else {
        const char *home = secure_getenv("HOME");
        if (!home || home[0] != '/')
            return false;
        length = snprintf(folder, bytes, "%s/.cache/sfumato", home);
    }
    return length > 0 && (size_t)length < bytes;
}

/* With the folders above it; what is there already is fine. */
static void make_folder(char *folder) {
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
    mkdir(folder, 0700);
}

static bool path_of(const char *folder, const char *name, char *path, size_t bytes) {
    int length = snprintf(path, bytes, "%s/%s", folder, name);
    return length > 0 && (size_t)length < bytes;
}

/* ---- files ---- */

typedef struct cache_head {
    char magic[8];
    uint64_t bytes, hash;
} cache_head;

static const char magic[8] = {'S', 'F', 'C', 'L', 'B', 'I', 'N', '1'};

static unsigned char *read_file(const sf_host *host, FILE *file, size_t *bytes) {
    cache_head head;
    if (fread(&head, sizeof head, 1, file) != 1 || memcmp(head.magic, magic, sizeof magic) != 0 ||
        head.bytes == 0 || head.bytes > MOST_BYTES)
        return NULL;
    unsigned char *data = host->resize(host, NULL, (size_t)head.bytes);
    if (!data)
        return NULL;
    if (fread(data, 1, (size_t)head.bytes, file) != head.bytes ||
        hash_bytes(HASH_START, data, (size_t)head.bytes) != head.hash) {
        host->resize(host, data, 0);
        return NULL;
    }
    *bytes = (size_t)head.bytes;
    return data;
}

unsigned char *opencl_cache_load(const sf_host *host, const opencl_cache_key *key, size_t *bytes) {
    char folder[MOST_PATH], path[MOST_PATH];
    if (!folder_of(folder, sizeof folder) || !path_of(folder, key->name, path, sizeof path))
        return NULL;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return NULL;
    unsigned char *data = read_file(host, file, bytes);
    fclose(file);
    if (!data)
        host->log(host, SF_LOG_INFO, "%s is damaged and is written anew", path);
    return data;
}

/* Written under another name first: another process never sees half of it. */
void opencl_cache_store(const sf_host *host, const opencl_cache_key *key, const void *data,
                        size_t bytes) {
    char folder[MOST_PATH], path[MOST_PATH], temporary[MOST_PATH];
    cache_head head = {.bytes = bytes, .hash = hash_bytes(HASH_START, data, bytes)};
    memcpy(head.magic, magic, sizeof magic);
    if (!folder_of(folder, sizeof folder) || !path_of(folder, key->name, path, sizeof path) ||
        !path_of(folder, "new-XXXXXX", temporary, sizeof temporary))
        return;
    make_folder(folder);
    int descriptor = mkstemp(temporary);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (!file) {
        host->log(host, SF_LOG_INFO, "compiled kernels are not kept: %s: %s", folder,
                  strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
        return;
    }
    bool written =
        fwrite(&head, sizeof head, 1, file) == 1 && fwrite(data, 1, bytes, file) == bytes;
    written = fclose(file) == 0 && written;
    if (!written || rename(temporary, path) != 0)
        unlink(temporary);
}
