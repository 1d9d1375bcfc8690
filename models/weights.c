/*
 * Weights files of a folder. See weights.h.
 */
#include "models/weights.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/memory.h"

/* In order of preference: full weights before variants, as a variant is a rounded copy. */
static const char *const file_names[] = {
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "model.fp16.safetensors",
    "model.safetensors.index.fp16.json",
    "diffusion_pytorch_model.fp16.safetensors.index.json",
    "model.fp16.safetensors.index.json",
    "diffusion_pytorch_model.bf16.safetensors",
    "diffusion_pytorch_model.safetensors.index.bf16.json",
    "model.bf16.safetensors",
    "model.safetensors.index.bf16.json",
};

#define N_FILE_NAMES (sizeof file_names / sizeof *file_names)

/* Whether the folder has weights that only Python could read; copies the name of one. */
static bool find_pickle(const char *folder, char *name, size_t bytes) {
    static const char *const suffixes[] = {".bin", ".ckpt", ".pt", ".pth"};
    DIR *open_folder = opendir(folder);
    bool found = false;
    for (struct dirent *entry; open_folder && !found && (entry = readdir(open_folder));)
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
            if (sf_path_has_suffix(entry->d_name, suffixes[i])) {
                snprintf(name, bytes, "%s", entry->d_name);
                found = true;
            }
    if (open_folder)
        closedir(open_folder);
    return found;
}

static sf_status fail_missing(sf_context *ctx, const char *folder) {
    char pickle[256];
    if (find_pickle(folder, pickle, sizeof pickle))
        SF_FAIL(ctx, ERROR_NOT_FOUND,
                "%s: the weights are there only as %.100s, a pickle, which is a program and is not "
                "executed; convert it in Python: load the model with from_pretrained() and save it "
                "with save_pretrained(folder, safe_serialization=True)",
                folder, pickle);
    SF_FAIL(ctx, ERROR_NOT_FOUND,
            "%s: no weights: looked for diffusion_pytorch_model.safetensors and model.safetensors, "
            "their fp16 and bf16 variants, and the .index.json of each",
            folder);
}

static sf_status load_file(sf_context *ctx, const char *path, sf_tensors **weights) {
    if (!sf_path_has_suffix(path, ".json"))
        return sf_tensors_load(ctx, path, weights);
    sf_tensors *set = NULL;
    SF_TRY(sf_tensors_new(ctx, &set));
    sf_status status = sf_safetensors_add_index(ctx, path, set);
    if (status == SF_OK)
        *weights = set;
    else
        sf_tensors_free(set);
    return status;
}

sf_status sf_weights_load(sf_context *ctx, const char *folder, sf_tensors **weights, char **file) {
    for (size_t i = 0; i < N_FILE_NAMES; i++) {
        char *path = sf_path_join(ctx, folder, file_names[i]);
        if (!path)
            return SF_ERROR_MEMORY;
        if (!sf_path_is_file(path)) {
            sf_free(ctx, path);
            continue;
        }
        sf_status status = load_file(ctx, path, weights);
        if (status == SF_OK)
            *file = path;
        else
            sf_free(ctx, path);
        return status;
    }
    return fail_missing(ctx, folder);
}
