# The networks and the tokenizer.

libsfumato_internal_la_SOURCES += models/attention.c
libsfumato_internal_la_SOURCES += models/attention.h
libsfumato_internal_la_SOURCES += models/blocks.c
libsfumato_internal_la_SOURCES += models/blocks.h
libsfumato_internal_la_SOURCES += models/config.c
libsfumato_internal_la_SOURCES += models/config.h
libsfumato_internal_la_SOURCES += models/layers.c
libsfumato_internal_la_SOURCES += models/layers.h
libsfumato_internal_la_SOURCES += models/tokenizer.h
libsfumato_internal_la_SOURCES += models/tokenizer/added.c
libsfumato_internal_la_SOURCES += models/tokenizer/bpe.c
libsfumato_internal_la_SOURCES += models/tokenizer/config.c
libsfumato_internal_la_SOURCES += models/tokenizer/encode.c
libsfumato_internal_la_SOURCES += models/tokenizer/internal.h
libsfumato_internal_la_SOURCES += models/tokenizer/load.c
libsfumato_internal_la_SOURCES += models/tokenizer/model.c
libsfumato_internal_la_SOURCES += models/tokenizer/pieces.c
libsfumato_internal_la_SOURCES += models/tokenizer/special.c
libsfumato_internal_la_SOURCES += models/tokenizer/text.c
libsfumato_internal_la_SOURCES += models/tokenizer/unicode.c
libsfumato_internal_la_SOURCES += models/tokenizer/vocabulary.c
libsfumato_internal_la_SOURCES += models/weights.c
libsfumato_internal_la_SOURCES += models/weights.h
