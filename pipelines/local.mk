# Text, model, sampler and autoencoder put together.
libsfumato_internal_la_SOURCES += pipelines/decode.c
libsfumato_internal_la_SOURCES += pipelines/denoise.c
libsfumato_internal_la_SOURCES += pipelines/describe.c
libsfumato_internal_la_SOURCES += pipelines/drawing.c
libsfumato_internal_la_SOURCES += pipelines/find_model.c
libsfumato_internal_la_SOURCES += pipelines/inspect.c
libsfumato_internal_la_SOURCES += pipelines/load.c
libsfumato_internal_la_SOURCES += pipelines/memory.c
libsfumato_internal_la_SOURCES += pipelines/model_hash.c
libsfumato_internal_la_SOURCES += pipelines/pipeline.h
libsfumato_internal_la_SOURCES += pipelines/recipe.c
libsfumato_internal_la_SOURCES += pipelines/recipe.h
libsfumato_internal_la_SOURCES += pipelines/stage.c
libsfumato_internal_la_SOURCES += pipelines/stage.h
libsfumato_internal_la_SOURCES += pipelines/text.c
libsfumato_internal_la_SOURCES += pipelines/text2img.c
