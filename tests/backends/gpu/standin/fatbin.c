/*
 * Reads fat binaries as far as a driver does before it picks one: a head, then entries of machine code
 * (ELF) or text (PTX), each for an architecture. See standin.h.
 */
#include <string.h>

#include "tests/backends/gpu/standin/standin.h"

#define MAGIC    0xba55ed50u
#define KIND_PTX 1
#define KIND_ELF 2

typedef struct fatbin_head {
    uint32_t magic;
    uint16_t version, head_bytes;
    uint64_t bytes; /* of all entries */
} fatbin_head;

typedef struct fatbin_entry {
    uint16_t kind, version;
    uint32_t head_bytes;
    uint64_t bytes; /* after the head */
    uint32_t compressed_bytes, options;
    uint16_t minor, major;
    uint32_t architecture;
} fatbin_entry;

/* Machine code runs on later devices of its generation, text is compiled for all later ones. */
static bool runs_on(const fatbin_entry *entry, unsigned capability) {
    if (entry->architecture > capability)
        return false;
    return entry->kind == KIND_PTX || entry->architecture / 10 == capability / 10;
}

CUresult standin_check_fatbin(const void *data, unsigned capability) {
    fatbin_head head;
    bool found = false;
    memcpy(&head, data, sizeof head);
    if (head.magic != MAGIC || head.version != 1 || head.head_bytes != sizeof head)
        return standin_fault(CUDA_ERROR_INVALID_IMAGE, "not a fat binary: magic %#x", head.magic);
    const unsigned char *next = (const unsigned char *)data + head.head_bytes;
    uint64_t rest = head.bytes;
    while (rest) {
        fatbin_entry entry;
        if (rest < sizeof entry)
            return standin_fault(CUDA_ERROR_INVALID_IMAGE, "a fat binary that is cut short");
        memcpy(&entry, next, sizeof entry);
        if ((entry.kind != KIND_PTX && entry.kind != KIND_ELF) || entry.bytes == 0 ||
            entry.head_bytes < sizeof entry || entry.head_bytes > rest ||
            entry.bytes > rest - entry.head_bytes)
            return standin_fault(CUDA_ERROR_INVALID_IMAGE, "a fat binary with a damaged entry");
        found = found || runs_on(&entry, capability);
        next += entry.head_bytes + entry.bytes;
        rest -= entry.head_bytes + entry.bytes;
    }
    return found ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU;
}
