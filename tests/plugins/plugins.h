/*
 * Folders with chosen plugins of the tests, as SFUMATO_PLUGIN_PATH wants them.
 */
#ifndef SF_TESTS_PLUGINS_PLUGINS_H
#define SF_TESTS_PLUGINS_PLUGINS_H

#include "sfumato.h"
#include "tests/plugins/fake.h"

/*
 * A path of folders: one new temporary folder with links to the named plugins (separated by
 * blanks), then the one of the built plugins, where `reference` and `cpu` are. The names: fake, lazy,
 * reference, cpu, or a descriptor of tests/plugins/hostile/. The folder is in that of tests/support/scratch.h, whose
 * fixture the test needs. The string lasts until the next 8 calls.
 */
const char *test_plugins(const char *names);

/* The same folder without that of the built plugins. */
const char *test_plugins_alone(const char *names);

/* What the fake plugins of this process tell. */
fake_state *fake(void);

/* A context on those plugins: the option `backend`, strict or not. */
sf_context *plugin_context(const char *path, const char *backend, int strict);

#endif
