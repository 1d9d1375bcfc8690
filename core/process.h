/*
 * What the system tells about the process.
 */
#ifndef SF_CORE_PROCESS_H
#define SF_CORE_PROCESS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Memory of the process that is in the machine's memory now, pages of mapped files included, as
 * /proc/self/statm has it; 0 where that can't be told.
 */
uint64_t sf_process_resident_bytes(void);

/*
 * Gives the whole pages inside a block of malloc's back to the system; what is in it is lost. For
 * large blocks right before they are freed: malloc may keep them otherwise.
 */
void sf_process_release_pages(void *block, size_t bytes);

#endif
