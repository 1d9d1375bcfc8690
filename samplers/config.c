/*
 * Reading scheduler_config.json: the class, and the options that the class has. See config.h.
 */
#include "samplers/config.h"

#include <math.h>
#include <stddef.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "samplers/class.h"
#include "samplers/names.h"

#define MOST_TRAINED_BETAS 1000000

/* ---- the file ---- */

sf_status sf_scheduler_config_parse(sf_context *ctx, const char *where, const char *text,
                                    size_t size, sf_scheduler_config *config) {
    sf_scheduler_config made = {.ctx = ctx};
    sf_status status;
    SF_TRY_OUT(sf_json_parse(ctx, where, text, size, 0, &made.json));
    if (!json_is_object(made.json))
        SF_FAIL_OUT(ctx, ERROR_FORMAT, "%s: a JSON object is wanted", where);
    made.where = sf_strdup(ctx, where);
    if (!made.where) {
        status = SF_ERROR_MEMORY;
        goto out;
    }
    *config = made;
    return SF_OK;
out:
    sf_scheduler_config_clear(&made);
    return status;
}

sf_status sf_scheduler_config_load(sf_context *ctx, const char *path, sf_scheduler_config *config) {
    sf_scheduler_config made = {.ctx = ctx};
    SF_TRY(sf_json_load(ctx, path, &made.json));
    made.where = sf_strdup(ctx, path);
    if (!made.where) {
        sf_scheduler_config_clear(&made);
        return SF_ERROR_MEMORY;
    }
    *config = made;
    return SF_OK;
}

void sf_scheduler_config_clear(sf_scheduler_config *config) {
    if (config->ctx)
        sf_free(config->ctx, config->where);
    json_decref(config->json);
    *config = (sf_scheduler_config){0};
}

static const char *where_of(const sf_scheduler_config *config) {
    return config->where ? config->where : "the scheduler's configuration";
}

/* ---- the class ---- */

static const sf_sampler_class *const classes[] = {
#define SF_SAMPLER(name) &sf_sampler_##name,
#include "samplers/samplers.def"
#undef SF_SAMPLER
};

#define N_CLASSES (int)(sizeof classes / sizeof classes[0])

const sf_sampler_class *sf_sampler_class_find(const char *name) {
    for (int i = 0; i < N_CLASSES; i++) {
        const sf_sampler_info *info = &classes[i]->info;
        if (strcasecmp(name, info->name) == 0 || strcasecmp(name, info->title) == 0 ||
            strcmp(name, info->class_name) == 0)
            return classes[i];
    }
    return NULL;
}

sf_status sf_scheduler_config_choose(sf_context *ctx, const sf_scheduler_config *config,
                                     const char *sampler, const sf_sampler_class **class) {
    sf_names names = {0}, class_names = {0};
    const char *wanted = sampler;
    for (int i = 0; i < N_CLASSES; i++) {
        sf_names_add(&names, classes[i]->info.name);
        sf_names_add(&class_names, classes[i]->info.class_name);
    }
    if (!wanted)
        SF_TRY(sf_json_get_string(ctx, where_of(config), config->json, "_class_name", NULL,
                                  &wanted));
    if (!wanted)
        SF_FAIL(ctx, ERROR_FORMAT, "%s: no _class_name, and no sampler was chosen; there are %s",
                where_of(config), names.text);
    const sf_sampler_class *found = sf_sampler_class_find(wanted);
    if (!found && sampler)
        SF_FAIL(ctx, ERROR_NOT_FOUND, "there is no sampler \"%s\", but %s", sampler, names.text);
    if (!found)
        SF_FAIL(ctx, ERROR_UNSUPPORTED,
                "%s: _class_name: \"%s\" is not supported, but %s; another sampler can be chosen: "
                "%s",
                where_of(config), wanted, class_names.text, names.text);
    *class = found;
    return SF_OK;
}

/* ---- the options ---- */

/* The names of a choice's values: names_beta_schedule[SF_BETA_linear] is "linear". */
#define CHOICE_NAME(group, name) #name,
#define SF_INTEGER(...)
#define SF_NUMBER(...)
#define SF_FLAG(...)
#define SF_NUMBERS(...)
#define SF_CHOICE(name, value)                                                                     \
    static const char *const names_##name[] = {SF_CHOICES_##name(CHOICE_NAME)};
#include "samplers/options.def"

/* What is read, from where, and into which member of the settings. */
typedef struct reading {
    sf_context *ctx;
    const sf_scheduler_config *config;
    const sf_sampler_class *class;
    sf_option_id option;
    const char *key;
    double min, max;
    const char *const *names; /* of a choice */
    int n_names;
} reading;

static const json_t *find(const reading *r) {
    return json_object_get(r->config->json, r->key);
}

static sf_status read_integer(const reading *r, int *value) {
    return sf_json_get_int32(r->ctx, where_of(r->config), r->config->json, r->key, *value,
                             (int)r->min, (int)r->max, value);
}

static sf_status read_number(const reading *r, double *value) {
    double number;
    if (!find(r) || json_is_null(find(r)))
        return SF_OK;
    SF_TRY(sf_json_get_number(r->ctx, where_of(r->config), r->config->json, r->key, 0, &number));
    if (!(number >= r->min && number <= r->max))
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: %g is not within %g to %g", where_of(r->config),
                r->key, number, r->min, r->max);
    *value = number;
    return SF_OK;
}

static sf_status read_flag(const reading *r, bool *value) {
    bool standard = *value && !json_is_null(find(r));
    return sf_json_get_bool(r->ctx, where_of(r->config), r->config->json, r->key, standard, value);
}

static sf_status read_choice(const reading *r, int *value) {
    uint64_t allowed = r->class->choices[r->option] ? r->class->choices[r->option] : UINT64_MAX;
    sf_names names = {0};
    const char *text;
    SF_TRY(sf_json_get_string(r->ctx, where_of(r->config), r->config->json, r->key, NULL, &text));
    if (!text)
        return SF_OK;
    for (int i = 0; i < r->n_names; i++) {
        if (!(allowed & SF_BIT(i)))
            continue;
        if (strcmp(text, r->names[i]) == 0) {
            *value = i;
            return SF_OK;
        }
        sf_names_add(&names, r->names[i]);
    }
    SF_FAIL(r->ctx, ERROR_UNSUPPORTED, "%s: %s: \"%.64s\" is none of %s's: %s", where_of(r->config),
            r->key, text, r->class->info.class_name, names.text);
}

static sf_status read_numbers(const reading *r, sf_numbers *numbers) {
    const json_t *list = find(r);
    const char *where = where_of(r->config);
    if (!list || json_is_null(list))
        return SF_OK;
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count < 1 || count > MOST_TRAINED_BETAS)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: a list of 1 to %d numbers is wanted", where, r->key,
                MOST_TRAINED_BETAS);
    numbers->values = SF_NEW_ARRAY(r->ctx, double, count);
    if (!numbers->values)
        return SF_ERROR_MEMORY;
    numbers->count = (int)count;
    for (size_t i = 0; i < count; i++) {
        double number = NAN;
        if (!sf_json_number(json_array_get(list, i), &number) ||
            !(number >= r->min && number <= r->max))
            SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: element %zu is no number within %g to %g", where,
                    r->key, i, r->min, r->max);
        numbers->values[i] = number;
    }
    return SF_OK;
}

static void set_defaults(const sf_sampler_class *class, sf_scheduler_settings *settings) {
#define SF_INTEGER(name, value, low, high) settings->name = (value);
#define SF_NUMBER(name, value, low, high)  settings->name = (double)(value);
#define SF_FLAG(name, value)               settings->name = (value);
#define SF_CHOICE(name, value)             settings->name = (value);
#define SF_NUMBERS(name, low, high)        settings->name = (sf_numbers){0};
#include "samplers/options.def"
    if (class->set_defaults)
        class->set_defaults(settings);
}

/* One line an option; `has` keeps those that the class lacks unread. */
static sf_status read_all(reading r, sf_scheduler_settings *settings) {
    uint64_t has = r.class->options;
#define READ(name, reader)                                                                         \
    r.option = SF_OPTION_##name;                                                                   \
    r.key = #name;                                                                                 \
    if (has & SF_OPTION(name))                                                                     \
        SF_TRY(reader(&r, &settings->name));
#define SF_INTEGER(name, value, low, high) r.min = (low), r.max = (high); READ(name, read_integer)
#define SF_NUMBER(name, value, low, high)                                                          \
    r.min = (low), r.max = (double)(high);                                                         \
    READ(name, read_number)
#define SF_FLAG(name, value) READ(name, read_flag)
#define SF_CHOICE(name, value)                                                                     \
    r.names = names_##name, r.n_names = (int)(sizeof names_##name / sizeof names_##name[0]);       \
    READ(name, read_choice)
#define SF_NUMBERS(name, low, high) r.min = (low), r.max = (high); READ(name, read_numbers)
#include "samplers/options.def"
    return SF_OK;
}

sf_status sf_scheduler_settings_read(sf_context *ctx, const sf_scheduler_config *config,
                                     const sf_sampler_class *class,
                                     sf_scheduler_settings *settings) {
    sf_scheduler_settings made;
    reading r = {.ctx = ctx, .config = config, .class = class};
    set_defaults(class, &made);
    sf_status status = read_all(r, &made);
    if (status == SF_OK)
        *settings = made;
    else
        sf_scheduler_settings_clear(ctx, &made);
    return status;
}

void sf_scheduler_settings_clear(sf_context *ctx, sf_scheduler_settings *settings) {
    sf_free(ctx, settings->trained_betas.values);
    settings->trained_betas = (sf_numbers){0};
}

/* ---- the sigma schedule ---- */

static bool asks_for(const sf_scheduler_settings *settings, const sf_sigma_schedule *schedule) {
    switch (schedule->option) {
    case SF_OPTION_use_karras_sigmas:
        return settings->use_karras_sigmas;
    case SF_OPTION_use_exponential_sigmas:
        return settings->use_exponential_sigmas;
    case SF_OPTION_use_beta_sigmas:
        return settings->use_beta_sigmas;
    default:
        return false;
    }
}

static bool has_schedule(const sf_sampler_class *class, const sf_sigma_schedule *schedule) {
    return schedule->option < 0 || (class->options & SF_BIT(schedule->option)) != 0;
}

static sf_status find_schedule(sf_context *ctx, const sf_sampler_class *class, const char *name,
                               const sf_sigma_schedule **schedule) {
    sf_names names = {0};
    for (int i = 0; i < sf_n_sigma_schedules; i++) {
        const sf_sigma_schedule *candidate = sf_sigma_schedules[i];
        if (!has_schedule(class, candidate))
            continue;
        if (strcasecmp(name, candidate->name) == 0) {
            *schedule = candidate;
            return SF_OK;
        }
        sf_names_add(&names, candidate->name);
    }
    SF_FAIL(ctx, ERROR_NOT_FOUND, "the sampler %s has no schedule \"%s\", but %s",
            class->info.name, name, names.text);
}

sf_status sf_scheduler_settings_schedule(sf_context *ctx, const sf_sampler_class *class,
                                         const sf_scheduler_settings *settings, const char *name,
                                         const sf_sigma_schedule **schedule) {
    if (name)
        return find_schedule(ctx, class, name, schedule);
    const sf_sigma_schedule *found = &sf_sigma_schedule_normal;
    for (int i = 0; i < sf_n_sigma_schedules; i++) {
        if (!asks_for(settings, sf_sigma_schedules[i]))
            continue;
        if (found->fill)
            SF_FAIL(ctx, ERROR_FORMAT,
                    "the scheduler's configuration asks for %s and for %s sigmas; only one is "
                    "possible",
                    found->name, sf_sigma_schedules[i]->name);
        found = sf_sigma_schedules[i];
    }
    *schedule = found;
    return SF_OK;
}
