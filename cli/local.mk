# The command: uses the public header alone.

bin_PROGRAMS += sfumato
sfumato_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
sfumato_LDADD = libsfumato.la $(JANSSON_LIBS) -lm
sfumato_SOURCES =
sfumato_SOURCES += cli/cmd_backends.c
sfumato_SOURCES += cli/cmd_check_backend.c
sfumato_SOURCES += cli/cmd_generate.c
sfumato_SOURCES += cli/cmd_inspect.c
sfumato_SOURCES += cli/cmd_run.c
sfumato_SOURCES += cli/cmd_sample.c
sfumato_SOURCES += cli/cmd_tokenize.c
sfumato_SOURCES += cli/commands.def
sfumato_SOURCES += cli/describe.c
sfumato_SOURCES += cli/describe.h
sfumato_SOURCES += cli/main.c
sfumato_SOURCES += cli/model.c
sfumato_SOURCES += cli/model.h
sfumato_SOURCES += cli/options.c
sfumato_SOURCES += cli/options.h
sfumato_SOURCES += cli/output_name.c
sfumato_SOURCES += cli/output_name.h
sfumato_SOURCES += cli/progress.c
sfumato_SOURCES += cli/progress.h
sfumato_SOURCES += cli/session.c
sfumato_SOURCES += cli/session.h
