/*
 * Progress on stderr: a bar with speed and time left on a terminal, a plain line a stage otherwise.
 */
#ifndef SF_CLI_PROGRESS_H
#define SF_CLI_PROGRESS_H

#include "sfumato.h"

void progress_show(const sf_progress *progress);

/* Takes the bar away, so that a message can be printed. */
void progress_clear(void);

#endif
