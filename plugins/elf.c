/*
 * The headers of a shared object. See elf.h; the format is in elf(5).
 */
#include "plugins/elf.h"

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

static bool read_at(int descriptor, uint64_t offset, void *to, size_t bytes) {
    return offset <= INT64_MAX && pread(descriptor, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

static bool is_inside(uint64_t offset, uint64_t bytes, uint64_t file_bytes) {
    return offset <= file_bytes && bytes <= file_bytes - offset;
}

static bool check_segments(int descriptor, const ElfW(Ehdr) * header, uint64_t file_bytes) {
    for (uint64_t i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_at(descriptor, header->e_phoff + i * sizeof segment, &segment, sizeof segment) ||
            !is_inside(segment.p_offset, segment.p_filesz, file_bytes))
            return false;
    }
    return true;
}

bool sf_elf_is_whole(const char *file) {
    ElfW(Ehdr) header;
    struct stat about;
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return true; /* dlopen() says why */
    bool whole = true;
    if (fstat(descriptor, &about) == 0 && read_at(descriptor, 0, &header, sizeof header) &&
        memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == NATIVE_CLASS &&
        header.e_phentsize == sizeof(ElfW(Phdr)))
        whole = check_segments(descriptor, &header, (uint64_t)about.st_size);
    close(descriptor);
    return whole;
}
