# Short programs against the public header. The tests build and run them.

check_PROGRAMS += examples/draw
examples_draw_SOURCES = examples/draw.c
examples_draw_LDADD = libsfumato.la

check_PROGRAMS += examples/sheet
examples_sheet_SOURCES = examples/sheet.c
examples_sheet_LDADD = libsfumato.la
