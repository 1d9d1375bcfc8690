/*
 * Sfumato: pictures from diffusion models, on any device that has a plugin.
 *
 * The header goes from the general to the special: status and context, pictures from a model folder
 * (what most programs need), then tensors, single components, samplers, the tokenizer and backends. It
 * stays one file, longer than others, because it is the one that programs include.
 *
 * Conventions
 *   - A fallible function returns sf_status; its results go through the last pointers, which are
 *     untouched when it fails. sf_error_message() then says what, where and with which numbers.
 *   - Who creates frees: sf_x_new()/sf_x_load() with sf_x_free(). Freeing NULL does nothing.
 *   - Strings are UTF-8 and NUL-terminated. Strings that are handed in are copied where they are
 * kept.
 *   - An option struct starts with struct_size; fill it with its _init() function and change what
 * differs.
 *   - Tensors are row-major and contiguous, in the order that PyTorch saves (N,C,H,W).
 *   - A context and all that was made from it belong to one thread at a time. Different contexts
 * share no mutable state and may be used by different threads at once. The library has no global
 * state.
 */
#ifndef SFUMATO_H
#define SFUMATO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is declared here is exported; all else in the library is hidden. */
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* ------------------------------------------------------------------------------------------------
 * Status
 * --------------------------------------------------------------------------------------------- */

/* X(NAME, value, text): every status, once. The values never change between versions. */
#define SF_STATUS_LIST(X)                                                                          \
    X(OK, 0, "done")                                                                               \
    X(ERROR_ARGUMENT, 1, "an argument is out of range or missing")                                 \
    X(ERROR_MEMORY, 2, "out of memory")                                                            \
    X(ERROR_IO, 3, "a file can't be read or written")                                              \
    X(ERROR_FORMAT, 4, "a file's content is malformed")                                            \
    X(ERROR_SHAPE, 5, "shapes or types do not fit together")                                       \
    X(ERROR_NOT_FOUND, 6, "a name is not known")                                                   \
    X(ERROR_UNSUPPORTED, 7, "valid, but not supported")                                            \
    X(ERROR_BACKEND, 8, "a backend failed or can't be had")                                        \
    X(ERROR_NUMERIC, 9, "NaN or infinity in a result")                                             \
    X(ERROR_CANCELLED, 10, "cancelled by the caller")                                              \
    X(ERROR_INTERNAL, 11, "a bug in the library")

typedef enum sf_status {
#define SF_STATUS_ENUM(name, value, text) SF_##name = value,
    SF_STATUS_LIST(SF_STATUS_ENUM)
#undef SF_STATUS_ENUM
} sf_status;

/* The status in words ("out of memory"); never NULL. */
const char *sf_status_text(sf_status status);

/* The library's version, "MAJOR.MINOR.PATCH". */
const char *sf_version(void);

/* ------------------------------------------------------------------------------------------------
 * Context
 * --------------------------------------------------------------------------------------------- */

typedef struct sf_context sf_context;

typedef enum sf_log_level { SF_LOG_ERROR, SF_LOG_WARNING, SF_LOG_INFO, SF_LOG_DEBUG } sf_log_level;

/*
 * Where memory comes from. resize(user, NULL, n) allocates, resize(user, block, n) grows or
 * shrinks, resize(user, block, 0) frees and returns NULL. Blocks are aligned as malloc's. NULL with
 * n > 0 means that there is no memory; the library then returns SF_ERROR_MEMORY and leaks nothing.
 */
typedef struct sf_allocator {
    void *(*resize)(void *user, void *block, size_t bytes);
    void *user;
} sf_allocator;

/* How far a long call has come. */
typedef struct sf_progress {
    const char *stage; /* "load", "text", "denoise", "decode", "bench" */
    int step;          /* steps done in this stage, 0..n_steps */
    int n_steps;       /* a guess that changes, where the sampler is adaptive (sf_sampler_info) */
    double seconds;    /* since the stage began */
} sf_progress;

typedef struct sf_image sf_image;

typedef struct sf_context_options {
    size_t struct_size;
    sf_allocator allocator; /* resize NULL: malloc */

    /* Called with each message up to log_level. NULL: nothing is logged. */
    void (*log)(void *user, sf_log_level level, const char *message);
    sf_log_level log_level;

    /* Called as work goes on; a return other than 0 cancels the call (SF_ERROR_CANCELLED). */
    int (*progress)(void *user, const sf_progress *progress);

    /* Called with a cheap picture of the latents after each step; image is borrowed for the call.
     */
    int (*preview)(void *user, int step, int n_steps, const sf_image *image);

    void *user; /* handed to log, progress and preview */

    const char *backend;     /* as SFUMATO_BACKEND; NULL: that variable, else "auto" */
    const char *plugin_path; /* folders, ':' between; NULL: SFUMATO_PLUGIN_PATH */
    int strict;              /* 1: an op that the backend lacks is an error, not a fallback */

    /*
     * Bytes of the machine's memory that the process may take (mapped weights included) while
     * pictures are drawn or a component runs. Where a model's weights are too large for that, parts
     * of them are let go and read again as they are needed, which takes more time and gives the same
     * result. What does not fit even so is SF_ERROR_MEMORY before any work. 0: no limit.
     */
    uint64_t max_memory;

    /*
     * For backends with memory of their own (a GPU's). A model that does not fit into it is
     * SF_ERROR_MEMORY before any work, unless offload is 1: then weights are on the device only while
     * their component is at work, and of a component that is still too large some come in from host
     * memory for each use, which takes more time and gives the same result.
     */
    int offload;
    uint64_t max_device_memory; /* bytes that may be taken of it; 0: all that the device has */
} sf_context_options;

/* Fills options with the defaults. */
void sf_context_options_init(sf_context_options *options);

/*
 * Makes a context. options may be NULL (defaults). No backend is opened yet: that happens at the
 * first use, or with sf_context_open_backend().
 */
sf_status sf_context_new(const sf_context_options *options, sf_context **context);
void sf_context_free(sf_context *context);

/* The message of the last failure in this context: one line, "" if there was none. Borrowed. */
const char *sf_error_message(const sf_context *context);

/* ------------------------------------------------------------------------------------------------
 * Pictures from a model folder
 * --------------------------------------------------------------------------------------------- */

/* 8-bit RGB pixels, row by row from the top, 3 bytes each, without padding. */
sf_status sf_image_new(sf_context *context, int width, int height, sf_image **image);
void sf_image_free(sf_image *image);
int sf_image_width(const sf_image *image);
int sf_image_height(const sf_image *image);
uint8_t *sf_image_pixels(const sf_image *image);

/* Text kept with a picture in PNG iTXt/tEXt chunks: key to value, NULL if absent. Borrowed. */
const char *sf_image_text(const sf_image *image, const char *key);
sf_status sf_image_set_text(sf_image *image, const char *key, const char *value);

/*
 * PNG files. Saving writes a temporary file beside path and renames it, so that a failure leaves no
 * half-written file; a path that is not a regular file ("/dev/stdout") is written directly.
 */
sf_status sf_image_save(const sf_image *image, const char *path);
sf_status sf_image_load(sf_context *context, const char *path, sf_image **image);

/* Pictures of one size side by side, columns a row (0: nearly square), gap pixels of white between.
 */
sf_status sf_image_contact_sheet(sf_context *context, const sf_image *const *images, int n_images,
                                 int columns, int gap, sf_image **sheet);

typedef struct sf_pipeline sf_pipeline;

typedef struct sf_generate_options {
    size_t struct_size;
    const char *prompt;          /* "" draws without a condition */
    const char *negative_prompt; /* "" for none */
    const char *sampler;         /* a name of sf_sampler_list(); NULL: the model's */
    const char *schedule;        /* sigma schedule; NULL: the model's */
    int steps;             /* as diffusers counts them; 0: the model's, else its class's, 25 or 4 */
    float guidance_scale;  /* 0..1: no guidance; < 0: the model's, else its class's, 7.5 or 8.5 */
    float eta;             /* DDIM's eta, 0..1 */
    uint64_t seed;         /* picture i of the batch is drawn with seed + i */
    int width, height;     /* pixels; 0: the model's own size */
    int batch;             /* pictures, each with noise of its own */
    const char *rng;       /* "torch" (as PyTorch on the CPU) or "philox" (as on CUDA) */
    const char *precision; /* activations: "f32", "f16", "bf16"; NULL: "f32" */

    /* 0..1: how far the guided answer's deviation goes back to the unguided one's (Lin et al. 2024,
     * section 3.4); 0: not at all */
    float guidance_rescale;

    /* The run's own timesteps or noise levels (sigmas), as many as steps, of samplers whose diffusers
     * class takes them; where that is not the flow's, the sigmas end with the last one, 0. NULL: the
     * schedule's. Steps then follows from them. */
    const double *timesteps, *sigmas;
    int n_timesteps, n_sigmas;
    float mu; /* of flow matching with use_dynamic_shifting; NAN: not given */
} sf_generate_options;

void sf_generate_options_init(sf_generate_options *options);

/*
 * Opens a diffusers folder (the one with model_index.json). Weights are mapped, not read; they stay
 * mapped until sf_pipeline_free(). Errors name the file, the field or the tensor. Its class may be
 * StableDiffusionPipeline or LatentConsistencyModelPipeline.
 */
sf_status sf_pipeline_load(sf_context *context, const char *folder, sf_pipeline **pipeline);
void sf_pipeline_free(sf_pipeline *pipeline);

/*
 * Draws options->batch pictures. images has room for that many pointers; each picture is the
 * caller's to free and carries its generation parameters as text ("parameters", "sfumato").
 *
 * The same seed gives what diffusers' pipeline of the model's class draws with
 * torch.Generator("cpu").manual_seed(seed): 99 % of the pixels within 2/255.
 *
 * A model that was distilled from a guided one (latent consistency models; its U-Net has
 * time_cond_proj_dim) takes guidance_scale as an input: one evaluation a step whatever it is, and
 * negative_prompt and guidance_rescale have no effect, which the log says once.
 * Errors: SF_ERROR_CANCELLED from a callback, SF_ERROR_NUMERIC when a stage gives NaN.
 */
sf_status sf_pipeline_generate(sf_pipeline *pipeline, const sf_generate_options *options,
                               sf_image **images);

/*
 * What sf_pipeline_generate() would do, as JSON text: stages, ops by backend, planned and unshared
 * bytes, and in "memory" what the process will take at most ("peak_bytes"). Reads configurations and tensor headers, but no weights. *json is freed with
 * sf_text_free().
 */
sf_status sf_pipeline_describe(sf_pipeline *pipeline, const sf_generate_options *options,
                               char **json);
void sf_text_free(sf_context *context, char *text);

/* How a picture was drawn, read back from its "sfumato" text. */
typedef struct sf_recipe sf_recipe;

/* SF_ERROR_NOT_FOUND: the picture carries no such text. */
sf_status sf_recipe_read(sf_context *context, const sf_image *image, sf_recipe **recipe);
void sf_recipe_free(sf_recipe *recipe);
const sf_generate_options *sf_recipe_options(const sf_recipe *recipe); /* borrowed, batch 1 */
const char *sf_recipe_model(const sf_recipe *recipe);                  /* the folder's name */
const char *sf_recipe_model_hash(const sf_recipe *recipe);             /* SHA-256, 64 digits */
const char *sf_recipe_backend(const sf_recipe *recipe);                /* "reference 0.1.0" */

/*
 * SHA-256 of the pipeline's U-Net weights file in hex, as in a recipe; of shards, that of the list
 * which sha256sum prints of them. Borrowed from the pipeline.
 */
sf_status sf_pipeline_model_hash(sf_pipeline *pipeline, const char **hash);

/*
 * The folder of a model that ships with Sfumato ("emoji"; NULL: the default one), looked for under
 * SFUMATO_DATA_PATH and the package's data folder. Freed with sf_text_free().
 */
sf_status sf_find_model(sf_context *context, const char *name, char **folder);

/*
 * What a file or folder is, as JSON text: its kind, components, parameters, types, metadata. Takes
 * pipeline and component folders, safetensors files and PNG pictures. *json is freed with
 * sf_text_free().
 */
sf_status sf_inspect(sf_context *context, const char *path, char **json);

/* ------------------------------------------------------------------------------------------------
 * Tensors
 * --------------------------------------------------------------------------------------------- */

#define SF_MAX_DIMS 5

/*
 * X(NAME, value, name, safetensors_name, block_elements, block_bytes): every element type, once.
 * block_elements is 1 for plain types; a block-quantised type stores block_elements in block_bytes.
 */
#define SF_DTYPE_LIST(X)                                                                           \
    X(F32, 1, "f32", "F32", 1, 4)                                                                  \
    X(F16, 2, "f16", "F16", 1, 2)                                                                  \
    X(BF16, 3, "bf16", "BF16", 1, 2)                                                               \
    X(I32, 4, "i32", "I32", 1, 4)                                                                  \
    X(I64, 5, "i64", "I64", 1, 8)                                                                  \
    X(U8, 6, "u8", "U8", 1, 1)

typedef enum sf_dtype {
    SF_NONE = 0, /* absent */
#define SF_DTYPE_ENUM(name, value, text, file_name, elements, bytes) SF_##name = value,
    SF_DTYPE_LIST(SF_DTYPE_ENUM)
#undef SF_DTYPE_ENUM
} sf_dtype;

/* "f32" and so on; "none" for SF_NONE and unknown values. */
const char *sf_dtype_name(sf_dtype dtype);

/* A tensor in host memory: row-major, contiguous. */
typedef struct sf_tensor sf_tensor;

/* A zeroed tensor. n_dims 0..SF_MAX_DIMS; a dimension may be 0. dims is read only during the call.
 */
sf_status sf_tensor_new(sf_context *context, sf_dtype dtype, int n_dims, const int64_t *dims,
                        sf_tensor **tensor);
void sf_tensor_free(sf_tensor *tensor);
sf_dtype sf_tensor_dtype(const sf_tensor *tensor);
int sf_tensor_n_dims(const sf_tensor *tensor);
const int64_t *sf_tensor_dims(const sf_tensor *tensor); /* SF_MAX_DIMS numbers, 1 past n_dims */
int64_t sf_tensor_n_elements(const sf_tensor *tensor);
size_t sf_tensor_bytes(const sf_tensor *tensor);
void *sf_tensor_data(sf_tensor *tensor);
const void *sf_tensor_const_data(const sf_tensor *tensor);

/* Named tensors, in the order in which they were added, and a file's string metadata. */
typedef struct sf_tensors sf_tensors;

sf_status sf_tensors_new(sf_context *context, sf_tensors **tensors);
void sf_tensors_free(sf_tensors *tensors);
int sf_tensors_count(const sf_tensors *tensors);
const char *sf_tensors_name(const sf_tensors *tensors, int index);
sf_tensor *sf_tensors_at(const sf_tensors *tensors, int index);
sf_tensor *sf_tensors_find(const sf_tensors *tensors, const char *name); /* NULL: not there */

/* Takes over tensor (also when it fails). A name that is there already is SF_ERROR_ARGUMENT. */
sf_status sf_tensors_add(sf_tensors *tensors, const char *name, sf_tensor *tensor);

/*
 * safetensors files. Loading maps the file; its tensors point into the mapping and are read-only.
 * A path that ends in ".index.json" loads all shards that it names.
 */
sf_status sf_tensors_load(sf_context *context, const char *path, sf_tensors **tensors);
sf_status sf_tensors_save(const sf_tensors *tensors, const char *path);

/* ------------------------------------------------------------------------------------------------
 * One component of a model
 * --------------------------------------------------------------------------------------------- */

typedef struct sf_component sf_component;

/*
 * Opens one component. folder is a pipeline's folder (component then names the subfolder: "unet",
 * "vae_decoder" and "vae_encoder" are in "vae") or the component's own folder with config.json.
 */
sf_status sf_component_load(sf_context *context, const char *folder, const char *component,
                            sf_component **loaded);
void sf_component_free(sf_component *component);

/*
 * Runs it once. Names and shapes of inputs and outputs are those of the diffusers or transformers
 * module (N,C,H,W). A missing, unknown or ill-shaped input is an error that says what is wanted.
 */
sf_status sf_component_run(sf_component *component, const sf_tensors *inputs, sf_tensors **outputs);

/* ------------------------------------------------------------------------------------------------
 * Samplers
 * --------------------------------------------------------------------------------------------- */

/* What models a sampler is for. */
typedef enum sf_sampler_kind {
    SF_SAMPLER_DIFFUSION = 0, /* that predict noise, the clean sample or velocity v */
    SF_SAMPLER_CONSISTENCY,   /* that were distilled into a few steps (LCM, TCD, consistency) */
    SF_SAMPLER_FLOW,          /* of flow matching (Stable Diffusion 3, Flux) */
    SF_SAMPLER_EDM,           /* with the preconditioning of Karras et al. 2022 */
    SF_SAMPLER_INVERSION,     /* as the first, but from a clean sample to its noise */
    SF_SAMPLER_CONTINUOUS,    /* trained in continuous time, asked at 1 to 0 (Dance Diffusion) */
} sf_sampler_kind;

/* One sampler, for lists that people read. */
typedef struct sf_sampler_info {
    const char *name;       /* on the command line: "ddim", "euler" */
    const char *title;      /* as sampler users know it: "DDIM", "Euler" */
    const char *class_name; /* diffusers' scheduler class; where it has none, the function's name */
    const char *description; /* one line */
    int order;
    int evaluations_per_step;
    int stochastic; /* 1: draws noise in its steps */
    sf_sampler_kind kind;
    int least_steps, most_steps; /* between which it makes sense */
    int adaptive; /* 1: how often it asks the model follows from the answers, not from the steps */
} sf_sampler_info;

/* All samplers; *n_samplers of them. Static. */
const sf_sampler_info *const *sf_sampler_list(int *n_samplers);

/* A schedule: how the noise levels of a run are spread. */
typedef struct sf_schedule_info {
    const char *name;        /* on the command line: "karras" */
    const char *title;       /* as sampler users know it: "Karras" */
    const char *description; /* one line */
} sf_schedule_info;

/* All schedules; *n_schedules of them. Static. Which sampler takes which: its errors say. */
const sf_schedule_info *const *sf_schedule_list(int *n_schedules);

/*
 * Runs a sampler on recorded model outputs instead of a model, to compare samplers of different
 * programs. config is a diffusers scheduler_config.json; sampler, if not NULL, replaces its class
 * and schedule its sigma schedule. eta < 0: the default.
 *
 * inputs: noise, model_output.K, step_noise.K. outputs: timesteps, sigmas (where the method has
 * them), model_input.K, sample.K. Shapes are free, all equal; f32.
 */
typedef struct sf_replay_options {
    size_t struct_size;
    const char *config;
    const char *sampler;
    const char *schedule;
    int steps; /* 0: as many as timesteps or sigmas are listed */
    float eta;
    const double *timesteps, *sigmas; /* as in sf_generate_options */
    int n_timesteps, n_sigmas;
    float mu; /* NAN: not given */
} sf_replay_options;

void sf_replay_options_init(sf_replay_options *options);
sf_status sf_sampler_replay(sf_context *context, const sf_replay_options *options,
                            const sf_tensors *inputs, sf_tensors **outputs);

/* ------------------------------------------------------------------------------------------------
 * Tokenizer
 * --------------------------------------------------------------------------------------------- */

typedef struct sf_tokenizer sf_tokenizer;

/* Opens a tokenizer's folder (vocab.json and merges.txt, or tokenizer.json), or a pipeline's
 * folder. */
sf_status sf_tokenizer_load(sf_context *context, const char *folder, sf_tokenizer **tokenizer);
void sf_tokenizer_free(sf_tokenizer *tokenizer);

/* The number of ids in a padded sequence (77 for CLIP). */
int sf_tokenizer_max_length(const sf_tokenizer *tokenizer);

/*
 * Text to ids, as transformers' CLIPTokenizer(text, padding="max_length", truncation=True): start
 * token, pieces, end token, padding. ids has room for max_length numbers; *n_used counts those
 * before the padding (both special tokens included). With pad 0 the rest of ids is untouched.
 */
sf_status sf_tokenizer_encode(const sf_tokenizer *tokenizer, const char *text, int pad,
                              int64_t *ids, int *n_used);

/* ------------------------------------------------------------------------------------------------
 * Backends
 * --------------------------------------------------------------------------------------------- */

/* One device of one plugin, or a plugin that can't be used. Strings live as long as the context. */
typedef struct sf_backend_info {
    const char *name; /* "reference", "cuda:1" */
    const char *file; /* the plugin's file */
    const char *version;
    const char *device;    /* what the device calls itself; "" where the plugin is unusable */
    const char *reason;    /* why it is unusable; "" where it is usable */
    const char *types;     /* element types that it computes with, "f32 f16" */
    uint64_t memory_bytes; /* 0: not known */
    int priority;
    int selected; /* 1: this is the one that the context uses */
} sf_backend_info;

/* Opens the backend that the options and the environment ask for; does nothing if one is open. */
sf_status sf_context_open_backend(sf_context *context);

/* All plugins and devices that were found. The array is the context's and lasts until the next
 * call. */
sf_status sf_backend_list(sf_context *context, const sf_backend_info **backends, int *n_backends);

typedef struct sf_check_result {
    const char *op;
    const char *test_case; /* shapes, types and attributes in words */
    int outcome;           /* 0 agrees, 1 differs or failed, 2 not supported by the backend */
    double worst;          /* largest |a-b| / (atol + rtol |b|); at most 1 agrees */
    const char *message;   /* of a failure; "" otherwise */
} sf_check_result;

/*
 * Runs the conformance grid on the context's backend: every op (or the one named op), type and odd
 * shape against the reference backend. report is called for every case. *n_failed counts outcome 1.
 */
sf_status sf_backend_check(sf_context *context, const char *op,
                           void (*report)(void *user, const sf_check_result *result), void *user,
                           int *n_failed);

/* ------------------------------------------------------------------------------------------------
 * Measuring
 * --------------------------------------------------------------------------------------------- */

typedef struct sf_bench_options {
    size_t struct_size;
    int warmup;            /* runs before those that are timed, the first one not counted; >= 0 */
    int repeat;            /* timed runs; >= 1 */
    const char *precision; /* of activations: "f32", "f16", "bf16"; NULL: "f32" */

    /* of sf_bench_component() */
    int size;   /* of the picture, pixels a side; 0: what the configuration says */
    int batch;  /* >= 1 */
    int per_op; /* 1: as many runs again, step by step, by kind of op; 2: by kind and shapes */

    /* of sf_bench_op() */
    const char *const *inputs; /* "1x64x64x320", "320x320x3x3:f16", "-" (absent); channels last */
    int n_inputs;              /* 0: shapes that occur in Stable Diffusion 1.5 */
    const char *const *attributes; /* "padding=1" */
    int n_attributes;
    const char *weight_type; /* of weights whose input names no type; NULL: "f32" */

    /*
     * of sf_bench_component(): how long a device takes by its data sheet ("rtx-4090", or
     * "peak=80T,bandwidth=1000G,launch=3u"). Nothing is run, and neither weights nor the device of
     * the backend need be there; weights have the type weight_type, NULL: as precision.
     */
    const char *roofline;
} sf_bench_options;

void sf_bench_options_init(sf_bench_options *options);

/*
 * Times one component (folder and component as in sf_component_load()) or one op on the context's
 * backend, with seeded random inputs. *json, freed with sf_text_free(), is an object whose keys
 * `sfumato bench --help` explains. "flop" counts multiplications and additions of convolutions,
 * linear layers, matrix products and attention as their formulas have them.
 */
sf_status sf_bench_component(sf_context *context, const char *folder, const char *component,
                             const sf_bench_options *options, char **json);
sf_status sf_bench_op(sf_context *context, const char *op, const sf_bench_options *options,
                      char **json);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* SFUMATO_H */
