/*
 * What the system tells about the process.
 */
#ifndef SF_CORE_PROCESS_H
#define SF_CORE_PROCESS_H

#include <stdint.h>

/*
 * Memory of the process that is in the machine's memory now, pages of mapped files included, as
 * /proc/self/statm has it; 0 where that can't be told.
 */
uint64_t sf_process_resident_bytes(void);

#endif
