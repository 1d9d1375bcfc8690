/*
 * Reading scheduler_config.json: the class, and the options that the class has. See config.h.
 */
#include "samplers/config.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>

#include "core/io/file.h"
#include "core/io/json.h"
#include "core/memory.h"
#include "samplers/class.h"
#include "samplers/names.h"

#define MOST_NUMBERS 1000000

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

/* The next character of a name that counts, in lower case; 0 at its end. */
static char next_character(const char **name) {
    while (**name) {
        char c = *(*name)++;
        if (c == '+')
            return 'p';
        if (isalnum((unsigned char)c))
            return (char)tolower((unsigned char)c);
    }
    return 0;
}

static bool is_same_name(const char *a, const char *b) {
    char x, y;
    do {
        x = next_character(&a);
        y = next_character(&b);
    } while (x == y && x);
    return x == y;
}

static bool is_called(const sf_sampler_class *class, const char *name) {
    if (is_same_name(name, class->info.name) || is_same_name(name, class->info.title))
        return true;
    for (int i = 0; class->aliases && class->aliases[i]; i++)
        if (is_same_name(name, class->aliases[i]))
            return true;
    return false;
}

const sf_sampler_class *sf_sampler_class_find(const char *name) {
    for (int i = 0; i < N_CLASSES; i++)
        if (strcmp(name, classes[i]->info.class_name) == 0 || is_called(classes[i], name))
            return classes[i];
    return NULL;
}

sf_status sf_scheduler_config_choose(sf_context *ctx, const sf_scheduler_config *config,
                                     const char *sampler, const sf_sampler_class **class) {
    sf_names names = {0}, class_names = {0};
    const char *wanted = sampler;
    for (int i = 0; i < N_CLASSES; i++) {
        sf_names_add(&names, classes[i]->info.name);
        if (i == 0 || strcmp(classes[i]->info.class_name, classes[i - 1]->info.class_name) != 0)
            sf_names_add(&class_names, classes[i]->info.class_name);
    }
    if (!wanted)
        SF_TRY(
            sf_json_get_string(ctx, where_of(config), config->json, "_class_name", NULL, &wanted));
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

/* A choice's values: names_beta_schedule[SF_BETA_linear] is "linear". */
#define CHOICE_NAME(group, name) #name,
#define SF_INTEGER(...)
#define SF_NUMBER(...)
#define SF_FLAG(...)
#define SF_NUMBERS(...)
#define SF_CHOICE(name, value)                                                                     \
    static const char *const names_##name[] = {SF_CHOICES_##name(CHOICE_NAME)};
#include "samplers/options.def"

/* A value as diffusers spells it. */
static const char *spelling_of(const char *name) {
    static const char *const others[][2] = {
        {"dpmsolverpp", "dpmsolver++"},
        {"sde_dpmsolver", "sde-dpmsolver"},
        {"sde_dpmsolverpp", "sde-dpmsolver++"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i][0]) == 0)
            return others[i][1];
    return name;
}

typedef struct reading reading;
typedef sf_status (*reader)(const reading *r, void *value);

static sf_status read_integer(const reading *r, void *value);
static sf_status read_number(const reading *r, void *value);
static sf_status read_flag(const reading *r, void *value);
static sf_status read_choice(const reading *r, void *value);
static sf_status read_numbers(const reading *r, void *value);

/* The options by sf_option_id. */
static const struct option {
    const char *name;
    size_t offset; /* of the member of the settings */
    double min, max;
    const char *const *names; /* of a choice */
    int n_names;
    reader read;
} options[] = {
#define MEMBER(member)                     #member, offsetof(sf_scheduler_settings, member)
#define SF_INTEGER(name, value, low, high) {MEMBER(name), (low), (high), NULL, 0, read_integer},
#define SF_NUMBER(name, value, low, high)                                                          \
    {MEMBER(name), (double)(low), (double)(high), NULL, 0, read_number},
#define SF_FLAG(name, value) {MEMBER(name), 0, 1, NULL, 0, read_flag},
#define SF_CHOICE(name, value)                                                                     \
    {MEMBER(name), 0, 0, names_##name, (int)(sizeof names_##name / sizeof names_##name[0]),        \
     read_choice},
#define SF_NUMBERS(name, low, high) {MEMBER(name), (low), (high), NULL, 0, read_numbers},
#include "samplers/options.def"
};

struct reading {
    sf_context *ctx;
    const char *where;
    const json_t *json;
    const sf_sampler_class *class;
    const struct option *option;
};

static const json_t *find(const reading *r) {
    return json_object_get(r->json, r->option->name);
}

static sf_status read_integer(const reading *r, void *value) {
    int *integer = value;
    return sf_json_get_int32(r->ctx, r->where, r->json, r->option->name, *integer,
                             (int)r->option->min, (int)r->option->max, integer);
}

static sf_status read_number(const reading *r, void *value) {
    const struct option *option = r->option;
    double number;
    if (!find(r) || json_is_null(find(r)))
        return SF_OK;
    SF_TRY(sf_json_get_number(r->ctx, r->where, r->json, option->name, 0, &number));
    if (!(number >= option->min && number <= option->max))
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: %g is not within %g to %g", r->where, option->name,
                number, option->min, option->max);
    *(double *)value = number;
    return SF_OK;
}

static sf_status read_flag(const reading *r, void *value) {
    bool *flag = value;
    bool standard = *flag && !json_is_null(find(r));
    return sf_json_get_bool(r->ctx, r->where, r->json, r->option->name, standard, flag);
}

/* Values that papers and other programs call otherwise than diffusers. */
static const char *meant_by(const char *text) {
    static const char *const others[][2] = {
        {"quadratic", "scaled_linear"}, /* Ho et al. 2020's code; even in sqrt(beta) */
        {"exponential", "exp"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(text, others[i][0]) == 0)
            return others[i][1];
    return text;
}

static sf_status read_choice(const reading *r, void *value) {
    const struct option *option = r->option;
    uint64_t allowed = r->class->choices[option - options];
    sf_names names = {0};
    const char *text;
    SF_TRY(sf_json_get_string(r->ctx, r->where, r->json, option->name, NULL, &text));
    if (!text)
        return SF_OK;
    if (option - options == SF_OPTION_beta_schedule)
        text = meant_by(text);
    for (int i = 0; i < option->n_names; i++) {
        if (allowed && !(allowed & SF_BIT(i)))
            continue;
        if (strcmp(text, spelling_of(option->names[i])) == 0) {
            *(int *)value = i;
            return SF_OK;
        }
        sf_names_add(&names, spelling_of(option->names[i]));
    }
    SF_FAIL(r->ctx, ERROR_UNSUPPORTED, "%s: %s: \"%.64s\" is none of %s's: %s", r->where,
            option->name, text, r->class->info.class_name, names.text);
}

static sf_status read_numbers(const reading *r, void *value) {
    const struct option *option = r->option;
    sf_numbers *numbers = value;
    const json_t *list = find(r);
    if (!list || json_is_null(list))
        return SF_OK;
    size_t count = json_array_size(list), least = option == &options[SF_OPTION_trained_betas];
    if (!json_is_array(list) || count < least || count > MOST_NUMBERS)
        SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: a list of %zu to %d numbers is wanted", r->where,
                option->name, least, MOST_NUMBERS);
    if (count == 0)
        return SF_OK;
    numbers->values = SF_NEW_ARRAY(r->ctx, double, count);
    if (!numbers->values)
        return SF_ERROR_MEMORY;
    numbers->count = (int)count;
    for (size_t i = 0; i < count; i++) {
        double number = NAN;
        if (!sf_json_number(json_array_get(list, i), &number) ||
            !(number >= option->min && number <= option->max))
            SF_FAIL(r->ctx, ERROR_FORMAT, "%s: %s: element %zu is no number within %g to %g",
                    r->where, option->name, i, option->min, option->max);
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
    settings->custom_timesteps = settings->custom_sigmas = (sf_asked_numbers){0};
    settings->mu = NULL;
    if (class->set_defaults)
        class->set_defaults(settings);
}

sf_status sf_scheduler_settings_read(sf_context *ctx, const sf_scheduler_config *config,
                                     const sf_sampler_class *class,
                                     sf_scheduler_settings *settings) {
    sf_scheduler_settings made = {0};
    reading r = {.ctx = ctx, .where = where_of(config), .json = config->json, .class = class};
    sf_status status = SF_OK;
    set_defaults(class, &made);
    for (int i = 0; i < SF_OPTION_COUNT && status == SF_OK; i++) {
        r.option = &options[i];
        if (class->options & SF_BIT(i))
            status = r.option->read(&r, (char *)&made + r.option->offset);
    }
    if (status == SF_OK)
        *settings = made;
    else
        sf_scheduler_settings_clear(ctx, &made);
    return status;
}

void sf_scheduler_settings_clear(sf_context *ctx, sf_scheduler_settings *settings) {
#define SF_INTEGER(...)
#define SF_NUMBER(...)
#define SF_FLAG(...)
#define SF_CHOICE(...)
#define SF_NUMBERS(name, ...)                                                                      \
    sf_free(ctx, settings->name.values);                                                           \
    settings->name = (sf_numbers){0};
#include "samplers/options.def"
}

/* ---- the sigma schedule ---- */

static bool asks_for(const sf_scheduler_settings *settings, const sf_sigma_schedule *schedule) {
    return schedule->option >= 0 &&
           *(const bool *)((const char *)settings + options[schedule->option].offset);
}

static bool has_schedule(const sf_sampler_class *class, const sf_sigma_schedule *schedule) {
    if (class->any_schedule && !schedule->timestep)
        return true;
    if (schedule->option >= 0)
        return (class->options & SF_BIT(schedule->option)) != 0;
    return schedule == &sf_sigma_schedule_normal || (class->takes & SF_TAKES_SCHEDULES);
}

static sf_status find_schedule(sf_context *ctx, const sf_sampler_class *class, const char *name,
                               const sf_sigma_schedule **schedule) {
    sf_names names = {0};
    for (int i = 0; i < sf_n_sigma_schedules; i++) {
        const sf_sigma_schedule *candidate = sf_sigma_schedules[i];
        if (!has_schedule(class, candidate))
            continue;
        if (strcasecmp(name, candidate->info.name) == 0) {
            *schedule = candidate;
            return SF_OK;
        }
        sf_names_add(&names, candidate->info.name);
    }
    SF_FAIL(ctx, ERROR_NOT_FOUND, "the sampler %s has no schedule \"%s\", but %s", class->info.name,
            name, names.text);
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
                    found->info.name, sf_sigma_schedules[i]->info.name);
        found = sf_sigma_schedules[i];
    }
    *schedule = found;
    return SF_OK;
}
