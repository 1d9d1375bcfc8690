/*
 * Processors to use: the environment's word, the affinity mask, the control group. See threads.h.
 */
#include "backends/cpu/threads.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int processors_of_mask(void) {
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) > 0)
        return CPU_COUNT(&mask);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than the mask has room for */
    return online > 0 ? (int)online : 1;
}

/* "200000 100000" or "max 100000": microseconds of time a period. 0: no limit. */
static int limit_of_file(const char *path) {
    char quota[32];
    long long period = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    int n_read = fscanf(file, "%31s %lld", quota, &period);
    fclose(file);
    long long microseconds = n_read == 2 ? strtoll(quota, NULL, 10) : 0;
    if (microseconds <= 0 || period <= 0)
        return 0;
    long long whole = (microseconds + period - 1) / period;
    return whole < CPU_MOST_THREADS ? (int)whole : CPU_MOST_THREADS;
}

/*
 * The least limit of the process' group and those above it, in version 2 of control groups:
 * /proc/self/cgroup has "0::/path".
 */
static int limit_of_groups(void) {
    char group[512] = "", path[600];
    int least = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return 0;
    while (fgets(group, sizeof group, file) && strncmp(group, "0::", 3) != 0)
        group[0] = '\0';
    fclose(file);
    group[strcspn(group, "\n")] = '\0';
    char *name = group[0] ? group + 3 : group;
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", name);
        int limit = limit_of_file(path);
        if (limit && (!least || limit < least))
            least = limit;
        char *slash = strrchr(name, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

sf_status cpu_count_threads(const sf_host *host, int *n_threads) {
    const char *wanted = getenv("SFUMATO_THREADS");
    if (wanted && *wanted) {
        char *end;
        errno = 0;
        long n = strtol(wanted, &end, 10);
        if (errno || *end || n < 1 || n > CPU_MOST_THREADS)
            return host->fail(host, SF_ERROR_ARGUMENT,
                              "SFUMATO_THREADS is \"%.40s\"; a number from 1 to %d is wanted",
                              wanted, CPU_MOST_THREADS);
        *n_threads = (int)n;
        return SF_OK;
    }
    int n = processors_of_mask(), limit = limit_of_groups();
    n = limit && limit < n ? limit : n;
    *n_threads = n < CPU_MOST_THREADS ? n : CPU_MOST_THREADS;
    return SF_OK;
}
