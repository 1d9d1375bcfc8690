/*
 * Copies of model folders below the scratch folder (scratch.h), and ways to damage them: for tests
 * of what the library says about a model that is not as it should be. Names of files are within the
 * scratch folder: "model/unet/config.json".
 */
#ifndef SF_TESTS_SUPPORT_MODEL_FOLDER_H
#define SF_TESTS_SUPPORT_MODEL_FOLDER_H

#include <stddef.h>

/* The pipeline with random weights, 16x16 pixels, that draws in milliseconds. */
#define TINY_MODEL test_data("pipelines/tiny")

/* Copies the folder `from` with its subfolders to scratch(name). */
void model_copy(const char *from, const char *name);

/* Copies one file. */
void model_copy_file(const char *from, const char *name);

/*
 * The tiny model as one that was distilled from a guided one: its U-Net takes the guidance scale, its
 * class is LatentConsistencyModelPipeline (tests/oracle/make_distilled_pipeline.py).
 */
void model_copy_distilled(const char *name);

/* Sets a key of a JSON file to a JSON value, given as text: "null", "[1, 2]", "\"word\"". */
void model_set_json(const char *name, const char *key, const char *value);

/* Replaces the first `old` in the file's bytes by `new`, as long as it is. */
void model_replace(const char *name, const char *old, const char *new);

/* Keeps the first bytes of a file. */
void model_truncate(const char *name, size_t bytes);

/* Multiplies the elements of a tensor (f32 or f16) of a safetensors file. */
void model_scale_tensor(const char *name, const char *tensor, float factor);

/* Sets one element. */
void model_set_element(const char *name, const char *tensor, size_t element, float value);

#endif
