/*
 * Loading a model: its folder, class, configuration and weights. See model.h.
 */
#include "models/model.h"

#include <stdio.h>
#include <string.h>

#include "core/io/file.h"
#include "core/memory.h"
#include "models/weights.h"

static const sf_model_class *const classes[] = {
#define SF_MODEL(name) &sf_model_##name,
#include "models/models.def"
#undef SF_MODEL
};

#define N_CLASSES (sizeof classes / sizeof *classes)

/* ---- look-up ---- */

static const sf_role *find_role(const sf_model_class *model_class, const char *component) {
    for (int i = 0; i < SF_MAX_ROLES && model_class->roles[i]; i++)
        if (strcmp(model_class->roles[i]->component, component) == 0)
            return model_class->roles[i];
    return NULL;
}

static const char *find_name(const sf_model_class *model_class, const char *name) {
    for (int i = 0; i < SF_MAX_NAMES && model_class->names[i]; i++)
        if (strcmp(model_class->names[i], name) == 0)
            return model_class->names[i];
    return NULL;
}

/* The first class that serves a component; NULL: there is none. */
static const sf_model_class *default_class(const char *component) {
    for (size_t i = 0; i < N_CLASSES; i++)
        if (find_role(classes[i], component))
            return classes[i];
    return NULL;
}

/* Appends to a list in text: "a, b". */
static void list(char *text, size_t bytes, const char *item) {
    size_t used = strlen(text);
    snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", item);
}

static sf_status fail_component(sf_context *ctx, const char *component) {
    char known[512] = "";
    for (size_t i = 0; i < N_CLASSES; i++)
        for (int r = 0; r < SF_MAX_ROLES && classes[i]->roles[r]; r++)
            list(known, sizeof known, classes[i]->roles[r]->component);
    SF_FAIL(ctx, ERROR_NOT_FOUND, "no component is called \"%.64s\"; there are %s", component,
            known);
}

static sf_status fail_class(sf_context *ctx, const char *where, const char *name) {
    char known[512] = "";
    for (size_t i = 0; i < N_CLASSES; i++)
        for (int n = 0; n < SF_MAX_NAMES && classes[i]->names[n]; n++)
            list(known, sizeof known, classes[i]->names[n]);
    SF_FAIL(ctx, ERROR_UNSUPPORTED, "%s: models of the class \"%.64s\" are not supported; %s are",
            where, name, known);
}

/* ---- folder ---- */

static bool has_config(sf_context *ctx, const char *folder, sf_status *status) {
    char *path = sf_path_join(ctx, folder, "config.json");
    bool found = path && sf_path_is_file(path);
    if (!path)
        *status = SF_ERROR_MEMORY;
    sf_free(ctx, path);
    return found;
}

/* FOLDER/COMPONENT, the folder that is usual for it, or FOLDER itself: where config.json is. */
static sf_status find_folder(sf_context *ctx, const char *folder, const char *component,
                             const char *usual, char **found) {
    const char *const names[] = {component, usual, NULL};
    sf_status status = SF_OK;
    for (int i = 0; i < 3 && status == SF_OK; i++) {
        char *path = names[i] ? sf_path_join(ctx, folder, names[i]) : sf_strdup(ctx, folder);
        if (!path)
            return SF_ERROR_MEMORY;
        if (has_config(ctx, path, &status)) {
            *found = path;
            return SF_OK;
        }
        sf_free(ctx, path);
    }
    SF_TRY(status);
    if (!sf_path_is_folder(folder))
        SF_FAIL(ctx, ERROR_NOT_FOUND, "%s: there is no such folder", folder);
    SF_FAIL(ctx, ERROR_NOT_FOUND,
            "%s: the component %s is not here: there is no %s/config.json and no config.json",
            folder, component, usual);
}

/* ---- class ---- */

/* The class that a pipeline's model_index.json names for a component's folder; NULL: none. */
static sf_status class_of_index(sf_context *ctx, const char *folder, const char *component,
                                json_t **index, const char **name) {
    char *path = sf_path_join(ctx, folder, "model_index.json");
    if (!path)
        return SF_ERROR_MEMORY;
    sf_status status = sf_path_is_file(path) ? sf_json_load(ctx, path, index) : SF_OK;
    sf_free(ctx, path);
    *name = json_string_value(json_array_get(json_object_get(*index, component), 1));
    return status;
}

/* Finds the class by name, or by transformers' model_type. */
static sf_status set_class(sf_model *model, const char *where, const char *name,
                           const char *model_type) {
    for (size_t i = 0; i < N_CLASSES && !model->model_class; i++) {
        if (name)
            model->class_name = find_name(classes[i], name);
        else if (classes[i]->model_type && strcmp(classes[i]->model_type, model_type) == 0)
            model->class_name = classes[i]->names[0];
        if (model->class_name)
            model->model_class = classes[i];
    }
    return model->model_class ? SF_OK : fail_class(model->ctx, where, name ? name : model_type);
}

/* What the configuration says, else the pipeline's index, else what is usual for the component. */
static sf_status choose_class(sf_model *model, const char *pipeline, const char *component,
                              const char *where, const json_t *config) {
    sf_context *ctx = model->ctx;
    const sf_model_class *usual = default_class(component);
    json_t *index = NULL;
    const char *name = json_string_value(json_object_get(config, "_class_name"));
    const char *model_type = json_string_value(json_object_get(config, "model_type"));
    if (!name)
        name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    sf_status status = SF_OK;
    if (!name)
        status = class_of_index(ctx, pipeline, find_role(usual, component)->folder, &index, &name);
    if (status == SF_OK && !name && !model_type)
        name = usual->names[0];
    if (status == SF_OK)
        status = set_class(model, where, name, model_type);
    json_decref(index);
    SF_TRY(status);
    model->role = find_role(model->model_class, component);
    if (!model->role)
        SF_FAIL(ctx, ERROR_UNSUPPORTED, "%s: a model of the class %s is no %s", where,
                model->class_name, component);
    return SF_OK;
}

/* ---- configuration and weights ---- */

static sf_status read_config(sf_model *model, const char *pipeline, const char *component) {
    json_t *json = NULL;
    char *path = sf_path_join(model->ctx, model->folder, "config.json");
    sf_status status = path ? sf_json_load(model->ctx, path, &json) : SF_ERROR_MEMORY;
    if (status == SF_OK)
        status = choose_class(model, pipeline, component, path, json);
    if (status == SF_OK) {
        model->config = sf_alloc(model->ctx, 1, model->model_class->config_bytes);
        status = model->config ? model->model_class->configure(model->ctx, path, model->class_name,
                                                               json, model->config)
                               : SF_ERROR_MEMORY;
    }
    json_decref(json);
    sf_free(model->ctx, path);
    return status;
}

sf_status sf_model_graph(const sf_model *model, sf_graph **graph) {
    SF_TRY(sf_graph_new(model->ctx, model->weights, graph));
    (*graph)->assumed = model->assumed;
    return SF_OK;
}

/* Builds the network once, at small sizes, to see that all its weights are there. */
static sf_status check_weights(const sf_model *model) {
    sf_ports ports = {0};
    sf_sizes sizes = {{0}};
    sf_bound bound = {0};
    sf_graph *graph = NULL;
    model->role->declare(model->config, &ports);
    if (model->role->example_sizes)
        model->role->example_sizes(model->config, &sizes);
    sf_status status = sf_bound_example(model->ctx, &ports, &sizes, &bound);
    if (status == SF_OK)
        status = sf_model_graph(model, &graph);
    if (status == SF_OK) {
        sf_bound_add_inputs(&bound, graph);
        model->role->build(graph, model->config, &bound, SF_F32);
        status = sf_graph_status(graph);
        if (status != SF_OK)
            sf_fail_in(model->ctx, status, "%s",
                       model->weights_file ? model->weights_file : model->folder);
    }
    sf_graph_free(graph);
    sf_bound_clear(&bound);
    return status;
}

static sf_status load(sf_context *ctx, const char *folder, const char *component, sf_dtype assumed,
                      sf_model **model) {
    const sf_model_class *usual = default_class(component);
    if (!usual)
        return fail_component(ctx, component);
    sf_model *made = SF_NEW(ctx, sf_model);
    if (!made)
        return SF_ERROR_MEMORY;
    made->ctx = ctx;
    made->assumed = assumed;
    sf_status status;
    SF_TRY_OUT(
        find_folder(ctx, folder, component, find_role(usual, component)->folder, &made->folder));
    SF_TRY_OUT(read_config(made, folder, component));
    if (assumed == SF_NONE)
        SF_TRY_OUT(sf_weights_load(ctx, made->folder, &made->weights, &made->weights_file));
    SF_TRY_OUT(check_weights(made));
    *model = made;
    return SF_OK;
out:
    sf_model_free(made);
    return status;
}

sf_status sf_model_load(sf_context *ctx, const char *folder, const char *component,
                        sf_model **model) {
    return load(ctx, folder, component, SF_NONE, model);
}

sf_status sf_model_assume(sf_context *ctx, const char *folder, const char *component,
                          sf_dtype assumed, sf_model **model) {
    return load(ctx, folder, component, assumed, model);
}

void sf_model_free(sf_model *model) {
    if (!model)
        return;
    sf_context *ctx = model->ctx;
    sf_tensors_free(model->weights);
    sf_free(ctx, model->config);
    sf_free(ctx, model->weights_file);
    sf_free(ctx, model->folder);
    sf_free(ctx, model);
}
