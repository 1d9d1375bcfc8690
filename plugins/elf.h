/*
 * A look at a shared object's file before dlopen() maps it.
 */
#ifndef SF_PLUGINS_ELF_H
#define SF_PLUGINS_ELF_H

#include <stdbool.h>

/*
 * Whether all segments of an ELF file are in the file. The dynamic loader does not ask: it maps what
 * the headers name, and reading past the end of a file that was cut short kills the process. True
 * for what is no ELF file of this machine: dlopen() refuses that by itself.
 */
bool sf_elf_is_whole(const char *file);

#endif
