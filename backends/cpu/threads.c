/*
 * Processors to use: the environment's word, the affinity mask, the control group. See threads.h.
 */
#include "backends/cpu/threads.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP_BYTES 1024 /* of a line and of a path; a longer one is passed over */

static int processors_of_mask(void) {
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0 && CPU_COUNT(&mask) > 0)
        return CPU_COUNT(&mask);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than the mask has room for */
    return online > 0 ? (int)online : 1;
}

/* ---- control groups ---- */

/* The first `n` words of a file as numbers; 0 for one that is none ("max") or not there. */
static void read_numbers(const char *folder, const char *name, int n, long long *numbers) {
    char path[GROUP_BYTES + 64], word[32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    for (int i = 0; i < n; i++)
        numbers[i] = file && fscanf(file, "%31s", word) == 1 ? strtoll(word, NULL, 10) : 0;
    if (file)
        fclose(file);
}

/* Processors that `quota` microseconds of time a period come to, rounded up. 0: no limit. */
static int processors_of_quota(long long quota, long long period) {
    if (quota <= 0 || period <= 0)
        return 0;
    long long whole = quota / period + (quota % period != 0);
    return whole < CPU_MOST_THREADS ? (int)whole : CPU_MOST_THREADS;
}

/* Version 2 has one file: "200000 100000" or "max 100000". */
static int limit_of_version_2(const char *folder) {
    long long numbers[2];
    read_numbers(folder, "cpu.max", 2, numbers);
    return processors_of_quota(numbers[0], numbers[1]);
}

/* Version 1 has two; the quota is -1 where there is no limit. */
static int limit_of_version_1(const char *folder) {
    long long quota, period;
    read_numbers(folder, "cpu.cfs_quota_us", 1, &quota);
    read_numbers(folder, "cpu.cfs_period_us", 1, &period);
    return processors_of_quota(quota, period);
}

static int smaller_limit(int a, int b) {
    return a && (!b || a < b) ? a : b;
}

/* The least limit of folder[:root_length] and the folders in it, down to all of `folder`. */
static int least_on_the_way(char *folder, size_t root_length, int (*limit_of)(const char *folder)) {
    int least = 0;
    for (;;) {
        least = smaller_limit(limit_of(folder), least);
        char *slash = strrchr(folder + root_length, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Whether "cpu" is one of the words between commas of text[0 .. length - 1]. */
static bool names_cpu(const char *text, size_t length) {
    for (const char *word = text; word < text + length; word += strcspn(word, ",:") + 1)
        if (strncmp(word, "cpu", 3) == 0 && strchr(",:", word[3]))
            return true;
    return false;
}

/* The limit that a line of /proc/self/cgroup leads to: "0::/path", or of version 1 "4:cpu,cpuacct:/path". */
static int limit_of_line(char *line, const char *root) {
    char folder[GROUP_BYTES];
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'),
         *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return 0;
    size_t length = (size_t)(path - ++controllers);
    bool is_version_2 = length == 0;
    if (!is_version_2 && !names_cpu(controllers, length))
        return 0;
    const char *mount = is_version_2 ? "" : "/cpu";
    size_t root_length = strlen(root) + strlen(mount);
    int used = snprintf(folder, sizeof folder, "%s%s%s", root, mount, path + 1);
    if (used >= (int)sizeof folder)
        return 0;
    return least_on_the_way(folder, root_length,
                            is_version_2 ? limit_of_version_2 : limit_of_version_1);
}

int cpu_limit_of_groups(const char *groups, const char *root) {
    char line[GROUP_BYTES];
    int least = 0;
    FILE *file = fopen(groups, "re");
    while (file && fgets(line, sizeof line, file))
        least = smaller_limit(limit_of_line(line, root), least);
    if (file)
        fclose(file);
    return least;
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
    int n = processors_of_mask(),
        limit = cpu_limit_of_groups("/proc/self/cgroup", "/sys/fs/cgroup");
    n = limit && limit < n ? limit : n;
    *n_threads = n < CPU_MOST_THREADS ? n : CPU_MOST_THREADS;
    return SF_OK;
}
