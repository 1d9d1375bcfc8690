# Measuring: what `sfumato bench` calls, and programs that are run by hand beside it.
libsfumato_internal_la_SOURCES += bench/attributes.c
libsfumato_internal_la_SOURCES += bench/bench.h
libsfumato_internal_la_SOURCES += bench/breakdown.c
libsfumato_internal_la_SOURCES += bench/component.c
libsfumato_internal_la_SOURCES += bench/op.c
libsfumato_internal_la_SOURCES += bench/roofline.c
libsfumato_internal_la_SOURCES += bench/shapes.c
libsfumato_internal_la_SOURCES += bench/sheets.def
libsfumato_internal_la_SOURCES += bench/timing.c

# By hand: `make bench/peak`.
if CPU_X86
EXTRA_PROGRAMS = bench/peak
bench_peak_CFLAGS = $(AM_CFLAGS) $(ISA_FLAGS) -O3
bench_peak_SOURCES = bench/peak.c
bench_peak_LDADD = $(SYSTEM_LIBS)
endif

EXTRA_DIST += bench/instructions bench/instructions.tsv bench/make_sd15.py bench/paper.py bench/peer_diffusers.py bench/peers.py bench/requirements.txt
