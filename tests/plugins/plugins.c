#include "tests/plugins/plugins.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/scratch.h"
#include "tests/support/support.h"

/* ---- folders ---- */

static const char *new_folder(void) {
    static int n_folders;
    char name[32];
    snprintf(name, sizeof name, "plugins%d", n_folders++);
    const char *folder = scratch(name);
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    return folder;
}

/* The module that has sf_plugin_NAME. */
static const char *module_of(const char *name) {
    if (strncmp(name, "fake", 4) == 0 || strncmp(name, "lazy", 4) == 0)
        return test_build("tests/plugins/.libs/fake.so");
    if (strncmp(name, "reference", 9) == 0)
        return test_build("plugins/.libs/reference.so");
    if (strncmp(name, "cpu", 3) == 0)
        return test_build("plugins/.libs/cpu.so");
    return test_build("tests/plugins/.libs/hostile.so");
}

/* NAME.so in the folder is that module. */
static void link_plugin(const char *folder, const char *name, int length) {
    char to[PATH_MAX];
    const char *module = module_of(name);
    snprintf(to, sizeof to, "%s/%.*s.so", folder, length, name);
    ck_assert_msg(access(module, R_OK) == 0, "%s is not there", module);
    ck_assert_int_eq(symlink(module, to), 0);
}

/* An earlier version may be installed: files of the same names, and of no use, hide its plugins. */
static void hide_installed(const char *folder) {
    struct dirent *entry;
    DIR *installed = opendir(SF_PLUGIN_DIR);
    while (installed && (entry = readdir(installed))) {
        char to[PATH_MAX];
        snprintf(to, sizeof to, "%s/%s", folder, entry->d_name);
        if (strstr(entry->d_name, ".so") && access(to, F_OK) != 0)
            ck_assert_int_eq(symlink("/nowhere", to), 0);
    }
    if (installed)
        closedir(installed);
}

static void link_plugins(const char *folder, const char *names) {
    for (const char *name = names + strspn(names, " "); *name; name += strspn(name, " ")) {
        int length = (int)strcspn(name, " ");
        link_plugin(folder, name, length);
        name += length;
    }
}

const char *test_plugins_alone(const char *names) {
    const char *folder = new_folder();
    link_plugins(folder, names);
    hide_installed(folder);
    return folder;
}

const char *test_plugins(const char *names) {
    static char ring[8][PATH_MAX];
    static unsigned next;
    char *path = ring[next++ % 8];
    const char *folder = new_folder();
    link_plugins(folder, names);
    snprintf(path, sizeof ring[0], "%s:%s", folder, test_build("plugins/.libs"));
    return path;
}

/* ---- fake ---- */

fake_state *fake(void) {
    const char *module = test_build("tests/plugins/.libs/fake.so");
    void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL); /* stays open: the counts stay, too */
    ck_assert_msg(handle != NULL, "%s", dlerror());
    fake_state_function *get;
    *(void **)&get = dlsym(handle, "fake_state_get");
    ck_assert_ptr_nonnull((void *)(uintptr_t)get);
    return get();
}

sf_context *plugin_context(const char *path, const char *backend, int strict) {
    sf_context_options options;
    sf_context *ctx = NULL;
    sf_context_options_init(&options);
    options.plugin_path = path;
    options.backend = backend;
    options.strict = strict;
    ck_assert_int_eq(sf_context_new(&options, &ctx), SF_OK);
    return ctx;
}
