/*
 * How many threads are worth having here.
 */
#ifndef SF_BACKENDS_CPU_THREADS_H
#define SF_BACKENDS_CPU_THREADS_H

#include "sfumato_plugin.h"

#define CPU_MOST_THREADS 1024

/*
 * SFUMATO_THREADS, or else the processors that the process may run on, cut to the share of time that
 * its control group allows (rounded up). Fails for a SFUMATO_THREADS that is no number from 1 to
 * CPU_MOST_THREADS.
 */
sf_status cpu_count_threads(const sf_host *host, int *n_threads);

/*
 * The least limit, in whole processors, of the control groups in file `groups` (/proc/self/cgroup) and of
 * those above them, of version 1 or 2, mounted in folder `root`; 0 where there is none.
 */
int cpu_limit_of_groups(const char *groups, const char *root);

#endif
