/*
 * Opening a plugin file and checking its descriptor. See loader.h; the ABI is sfumato_plugin.h.
 *
 * The descriptor is data, so a plugin of another version or a broken one is refused without running
 * code of it. Copies are made with the members that both sides know; the rest is zero.
 */
#include "plugins/loader.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/memory.h"
#include "plugins/elf.h"

/* What every version has: without these bytes a struct can't be used at all. */
#define LEAST_PLUGIN_BYTES offsetof(sf_plugin, probe)
#define LEAST_ENTRY_BYTES  (offsetof(sf_op_entry, run) + sizeof(void *))
#define MOST_OPS           4096

static bool refuse(sf_loaded_plugin *loaded, const char *format, ...) SF_PRINTF(2, 3);

static bool refuse(sf_loaded_plugin *loaded, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(loaded->reason, sizeof loaded->reason, format, arguments);
    va_end(arguments);
    return false;
}

/* "…/reference.so" -> "reference"; NULL with the context's error without memory. */
static char *name_of(sf_context *ctx, const char *file) {
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    size_t length = strlen(base);
    bool has_suffix = length > 3 && strcmp(base + length - 3, ".so") == 0;
    return sf_strndup(ctx, base, has_suffix ? length - 3 : length);
}

static bool is_identifier(const char *name) {
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    return name[0] != '\0';
}

/* ---- the descriptor ---- */

/* Magic, version and size come first in every version, so they are safe to look at. */
static bool check_head(sf_loaded_plugin *loaded, const sf_plugin *given, size_t symbol_bytes) {
    if (symbol_bytes < offsetof(sf_plugin, flags))
        return refuse(loaded, "not a Sfumato plugin: its descriptor has %zu bytes", symbol_bytes);
    if (given->magic != SF_PLUGIN_MAGIC)
        return refuse(loaded, "not a Sfumato plugin: its descriptor starts with 0x%08x, not 0x%08x",
                      given->magic, SF_PLUGIN_MAGIC);
    if (given->abi_major != SF_PLUGIN_ABI_MAJOR)
        return refuse(loaded,
                      "made for plugin ABI %u.%u, this library has %d.%d; rebuild the plugin",
                      given->abi_major, given->abi_minor, SF_PLUGIN_ABI_MAJOR, SF_PLUGIN_ABI_MINOR);
    if (given->struct_size < LEAST_PLUGIN_BYTES)
        return refuse(loaded, "its descriptor has %u bytes, at least %zu are needed",
                      given->struct_size, LEAST_PLUGIN_BYTES);
    if (given->struct_size > symbol_bytes)
        return refuse(loaded, "its descriptor claims %u bytes and has %zu", given->struct_size,
                      symbol_bytes);
    return true;
}

static bool check_members(sf_loaded_plugin *loaded) {
    const sf_plugin *plugin = &loaded->plugin;
    if (!plugin->name || strcmp(plugin->name, loaded->name) != 0)
        return refuse(loaded, "its descriptor is of \"%s\", its file of \"%s\"",
                      plugin->name ? plugin->name : "(none)", loaded->name);
    if (!plugin->n_ops)
        return refuse(loaded, "it has no ops");
    if (plugin->n_ops > MOST_OPS || !plugin->ops)
        return refuse(loaded, "its list of %u ops is %s", plugin->n_ops,
                      plugin->ops ? "too long" : "missing");
    if (plugin->open && !plugin->close)
        return refuse(loaded, "it has open() and no close()");
    if (!plugin->buffer_new != !plugin->buffer_free)
        return refuse(loaded, "it has one of buffer_new() and buffer_free() without the other");
    if (!plugin->start_upload != !plugin->await_upload)
        return refuse(loaded, "it has one of start_upload() and await_upload() without the other");
    if (plugin->flags & SF_PLUGIN_HOST_MEMORY)
        return true;
    if (!plugin->open || !plugin->buffer_new || !plugin->buffer_free || !plugin->upload ||
        !plugin->download)
        return refuse(loaded, "without host memory it needs open, close, buffer_new, buffer_free, "
                              "upload and download; at least one is missing");
    return true;
}

static bool check_entry(sf_loaded_plugin *loaded, uint32_t index) {
    const sf_op_entry *given = loaded->plugin.ops[index];
    sf_op_entry entry = {0};
    if (!given)
        return refuse(loaded, "entry %u of its list of ops is NULL", index);
    if (given->struct_size < LEAST_ENTRY_BYTES)
        return refuse(loaded, "entry %u of its list of ops has %u bytes, at least %zu are needed",
                      index, given->struct_size, LEAST_ENTRY_BYTES);
    memcpy(&entry, given, given->struct_size < sizeof entry ? given->struct_size : sizeof entry);
    if (!entry.op)
        return refuse(loaded, "entry %u of its list of ops has no name", index);
    if (!entry.run)
        return refuse(loaded, "its op %s has no run()", entry.op);
    if (entry.prepare && !entry.release)
        return refuse(loaded, "its op %s has prepare() and no release()", entry.op);
    sf_op_id id = sf_op_find(entry.op);
    if (id == SF_OP_COUNT)
        return true; /* an op that a later library has */
    if (loaded->entries[id].run)
        return refuse(loaded, "its list of ops has %s twice", entry.op);
    loaded->entries[id] = entry;
    return true;
}

static bool check_descriptor(sf_loaded_plugin *loaded, const sf_plugin *given,
                             size_t symbol_bytes) {
    if (!check_head(loaded, given, symbol_bytes))
        return false;
    memcpy(&loaded->plugin, given,
           given->struct_size < sizeof loaded->plugin ? given->struct_size : sizeof loaded->plugin);
    if (!check_members(loaded))
        return false;
    for (uint32_t i = 0; i < loaded->plugin.n_ops; i++)
        if (!check_entry(loaded, i))
            return false;
    return true;
}

/* ---- the file ---- */

/* dlopen() would wait for ever on a pipe and die of a file that was cut short. */
static bool check_file(sf_loaded_plugin *loaded) {
    struct stat about;
    if (!is_identifier(loaded->name))
        return refuse(loaded, "a plugin's name has letters, digits and '_' alone");
    if (stat(loaded->file, &about) != 0)
        return refuse(loaded, "can't be read: %s", strerror(errno));
    if (!S_ISREG(about.st_mode))
        return refuse(loaded, "not a regular file");
    return sf_elf_is_whole(loaded->file) || refuse(loaded, "the file is cut short");
}

/* The size of the data that a symbol names; 0 for code, SIZE_MAX if it can't be told. */
static size_t symbol_size(const void *symbol) {
#ifdef __GLIBC__
    Dl_info where;
    const ElfW(Sym) *about = NULL;
    if (dladdr1(symbol, &where, (void **)&about, RTLD_DL_SYMENT) && about && about->st_size)
        return (about->st_info & 0xf) == STT_OBJECT ? about->st_size : 0;
#else
    (void)symbol;
#endif
    return SIZE_MAX;
}

static bool open_file(sf_loaded_plugin *loaded) {
    if (!check_file(loaded))
        return false;
    loaded->handle = dlopen(loaded->file, RTLD_NOW | RTLD_LOCAL);
    if (!loaded->handle) {
        const char *why = dlerror();
        return refuse(loaded, "can't be loaded: %s", why ? why : "unknown reason");
    }
    char symbol[NAME_MAX + 16];
    snprintf(symbol, sizeof symbol, "sf_plugin_%s", loaded->name);
    const sf_plugin *given = dlsym(loaded->handle, symbol);
    if (!given)
        return refuse(loaded, "it exports no symbol %s", symbol);
    return check_descriptor(loaded, given, symbol_size(given));
}

static void close_file(sf_loaded_plugin *loaded) {
    if (loaded->handle)
        dlclose(loaded->handle);
    loaded->handle = NULL;
}

sf_status sf_plugin_load(sf_context *ctx, const char *file, sf_loaded_plugin **loaded) {
    sf_loaded_plugin *made = SF_NEW(ctx, sf_loaded_plugin);
    if (!made)
        return SF_ERROR_MEMORY;
    made->file = sf_strdup(ctx, file);
    made->name = made->file ? name_of(ctx, file) : NULL;
    if (!made->name) {
        sf_plugin_unload(ctx, made);
        return SF_ERROR_MEMORY;
    }
    if (!open_file(made))
        close_file(made);
    *loaded = made;
    return SF_OK;
}

void sf_plugin_unload(sf_context *ctx, sf_loaded_plugin *loaded) {
    if (!loaded)
        return;
    close_file(loaded);
    sf_free(ctx, loaded->name);
    sf_free(ctx, loaded->file);
    sf_free(ctx, loaded);
}
