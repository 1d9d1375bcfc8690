# Measuring: what `sfumato bench` calls, and programs that are run by hand beside it.
libsfumato_internal_la_SOURCES += bench/attributes.c
libsfumato_internal_la_SOURCES += bench/bench.h
libsfumato_internal_la_SOURCES += bench/breakdown.c
libsfumato_internal_la_SOURCES += bench/component.c
libsfumato_internal_la_SOURCES += bench/op.c
libsfumato_internal_la_SOURCES += bench/shapes.c
libsfumato_internal_la_SOURCES += bench/timing.c

EXTRA_DIST += bench/instructions bench/instructions.tsv bench/make_sd15.py bench/peer_diffusers.py bench/peers.py bench/requirements.txt
