# Fuzz targets (libFuzzer), one a parser: fuzz/fuzz_NAME.c with the corpus fuzz/corpus/NAME/.
# tools/fuzz builds and runs them.

FUZZ_LINK = libsfumato_internal.la -lz $(FUZZER_FLAGS)
FUZZ_TARGETS =
EXTRA_DIST += fuzz/corpus

FUZZ_TARGETS += fuzz/fuzz_config
fuzz_fuzz_config_SOURCES = fuzz/fuzz_config.c
fuzz_fuzz_config_LDADD = $(FUZZ_LINK) $(JANSSON_LIBS)

FUZZ_TARGETS += fuzz/fuzz_json
fuzz_fuzz_json_SOURCES = fuzz/fuzz_json.c
fuzz_fuzz_json_LDADD = $(FUZZ_LINK) $(JANSSON_LIBS)

FUZZ_TARGETS += fuzz/fuzz_png_text
fuzz_fuzz_png_text_SOURCES = fuzz/fuzz_png_text.c
fuzz_fuzz_png_text_LDADD = $(FUZZ_LINK) $(PNG_LIBS) -lz

FUZZ_TARGETS += fuzz/fuzz_safetensors
fuzz_fuzz_safetensors_SOURCES = fuzz/fuzz_safetensors.c
fuzz_fuzz_safetensors_LDADD = $(FUZZ_LINK)

FUZZ_TARGETS += fuzz/fuzz_tokenizer
fuzz_fuzz_tokenizer_SOURCES = fuzz/fuzz_tokenizer.c
fuzz_fuzz_tokenizer_LDADD = $(FUZZ_LINK)

if FUZZERS
noinst_PROGRAMS += $(FUZZ_TARGETS)
endif
