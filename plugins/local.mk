# How a plugin is found and loaded. reference.c and cpu.c belong to their plugins:
# backends/ref/local.mk, backends/cpu/local.mk.
libsfumato_internal_la_SOURCES += plugins/choose.c
libsfumato_internal_la_SOURCES += plugins/conformance.c
libsfumato_internal_la_SOURCES += plugins/elf.c
libsfumato_internal_la_SOURCES += plugins/elf.h
libsfumato_internal_la_SOURCES += plugins/list.c
libsfumato_internal_la_SOURCES += plugins/loader.c
libsfumato_internal_la_SOURCES += plugins/loader.h
libsfumato_internal_la_SOURCES += plugins/registry.c
libsfumato_internal_la_SOURCES += plugins/registry.h
libsfumato_internal_la_SOURCES += plugins/registry_internal.h
EXTRA_DIST += plugins/template/template.c
