#include "tests/support/scratch.h"

#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX / 2];

void scratch_setup(void) {
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/sfumato-test-XXXXXX", parent && *parent ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* One level of subfolders is as deep as tests go. */
static void remove_entries(const char *path, int depth) {
    chmod(path, 0700);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char child[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (unlink(child) != 0 && depth < 2)
            remove_entries(child, depth + 1);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

void scratch_teardown(void) {
    remove_entries(folder, 0);
}

const char *scratch(const char *name) {
    static char ring[8][PATH_MAX];
    static unsigned next;
    char *path = ring[next++ % 8];
    snprintf(path, sizeof ring[0], *name ? "%s/%s" : "%s", folder, name);
    return path;
}

void scratch_write(const char *name, const void *data, size_t bytes) {
    FILE *file = fopen(scratch(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
    ck_assert_int_eq(fclose(file), 0);
}

int scratch_count(void) {
    int count = -2; /* "." and ".." */
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}
