/*
 * A plan on a device that is known by its data sheet alone: how long it would take at best, and what
 * would bound it. See bench.h; the model is core/plan/cost.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "core/memory.h"

/* ---- the device ---- */

/* No data sheet tells it; a few microseconds are what an empty kernel takes in a full queue. */
#define USUAL_LAUNCH 3e-6

static const struct {
    const char *name, *title;
    double f32, f16, bandwidth;
    const char *source;
} sheets[] = {
#define BENCH_SHEET(...) {__VA_ARGS__},
#include "bench/sheets.def"
#undef BENCH_SHEET
};

#define N_SHEETS (sizeof sheets / sizeof *sheets)

static sf_status fail_device(sf_context *ctx, const char *text) {
    char known[256] = "";
    for (size_t i = 0, used = 0; i < N_SHEETS && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 sheets[i].name);
    SF_FAIL(ctx, ERROR_ARGUMENT,
            "the device \"%.64s\" is not one of %s, nor "
            "peak=FLOP/S,bandwidth=BYTES/S[,launch=SECONDS] as in peak=80T,bandwidth=1000G",
            text, known);
}

/* "82.6T", "3u"; false: no positive number. */
static bool read_number(const char *text, size_t length, double *value) {
    static const struct {
        char letter;
        double factor;
    } units[] = {{'T', 1e12}, {'G', 1e9}, {'M', 1e6}, {'k', 1e3}, {'m', 1e-3}, {'u', 1e-6}};
    char *end;
    *value = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end < text + length && *end == units[i].letter) {
            *value *= units[i].factor;
            end++;
            break;
        }
    return end == text + length && isfinite(*value) && *value > 0;
}

static bool read_setting(const char *item, size_t length, sf_device_speed *speed) {
    const struct {
        const char *key;
        double *value;
    } settings[] = {{"peak=", &speed->flops_per_second},
                    {"bandwidth=", &speed->bytes_per_second},
                    {"launch=", &speed->seconds_per_launch}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        size_t key = strlen(settings[i].key);
        if (length > key && memcmp(item, settings[i].key, key) == 0)
            return read_number(item + key, length - key, settings[i].value);
    }
    return false;
}

static bool read_name(const char *item, size_t length, sf_dtype compute, sf_bench_device *device) {
    for (size_t i = 0; i < N_SHEETS; i++)
        if (strlen(sheets[i].name) == length && memcmp(item, sheets[i].name, length) == 0) {
            device->name = sheets[i].title;
            device->source = sheets[i].source;
            device->speed.flops_per_second =
                1e12 * (compute == SF_F32 ? sheets[i].f32 : sheets[i].f16);
            device->speed.f32_flops_per_second = 1e12 * sheets[i].f32;
            device->speed.bytes_per_second = 1e9 * sheets[i].bandwidth;
            return true;
        }
    return false;
}

sf_status sf_bench_find_device(sf_context *ctx, const char *text, sf_dtype compute,
                               sf_bench_device *device) {
    sf_bench_device found = {.name = "as given", .source = "as given"};
    found.speed.seconds_per_launch = USUAL_LAUNCH;
    for (const char *item = text; *item;) {
        size_t length = strcspn(item, ",");
        bool named = item == text && read_name(item, length, compute, &found);
        if (!named && !read_setting(item, length, &found.speed))
            return fail_device(ctx, text);
        if (strncmp(item, "peak=", 5) == 0)
            found.speed.f32_flops_per_second = 0; /* one that is given is for all */
        item += length + (item[length] == ',');
    }
    if (!(found.speed.flops_per_second > 0 && found.speed.bytes_per_second > 0))
        return fail_device(ctx, text);
    *device = found;
    return SF_OK;
}

/* ---- the plan ---- */

typedef struct row {
    char kind[512];
    int n_steps;
    double launches, bytes, flops, f32_flops, seconds;
    double by_limit[SF_N_LIMITS]; /* of seconds */
} row;

static const char *const limit_names[] = {
    [SF_LIMIT_LAUNCH] = "launch", [SF_LIMIT_MEMORY] = "memory", [SF_LIMIT_COMPUTE] = "compute"};

static void add(row *r, const sf_step_cost *cost, const sf_device_speed *speed) {
    sf_limit limit;
    double seconds = sf_cost_seconds(cost, speed, &limit);
    r->n_steps++;
    r->launches += cost->n_launches;
    r->bytes += (double)cost->n_bytes;
    r->flops += cost->flops;
    r->f32_flops += cost->is_in_f32 ? cost->flops : 0;
    r->seconds += seconds;
    r->by_limit[limit] += seconds;
}

/* The row of a kind; a new one at the end. */
static row *find_row(row *rows, size_t *n_rows, const char *kind) {
    size_t i = 0;
    while (i < *n_rows && strcmp(rows[i].kind, kind) != 0)
        i++;
    if (i == *n_rows)
        snprintf(rows[(*n_rows)++].kind, sizeof rows[i].kind, "%s", kind);
    return &rows[i];
}

/* Steps that run each time, by kind, and all of them. */
static sf_status add_up(const sf_plan *plan, const sf_bench_device *device, bool by_shapes,
                        row *rows, size_t *n_rows, row *whole) {
    for (size_t s = 0; s < sf_plan_step_count(plan); s++) {
        char kind[sizeof rows->kind];
        sf_plan_step step;
        sf_step_cost cost;
        sf_plan_get_step(plan, s, &step);
        if (step.is_settled)
            continue;
        SF_TRY(sf_plan_step_cost(plan, s, &cost));
        sf_bench_kind(&step, by_shapes, kind, sizeof kind);
        add(find_row(rows, n_rows, kind), &cost, &device->speed);
        add(whole, &cost, &device->speed);
    }
    return SF_OK;
}

static int by_time(const void *a, const void *b) {
    double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;
    return (x < y) - (x > y);
}

/* What most of the row's time is bound by. */
static const char *bound_of(const row *r) {
    int most = 0;
    for (int limit = 1; limit < SF_N_LIMITS; limit++)
        if (r->by_limit[limit] > r->by_limit[most])
            most = limit;
    return limit_names[most];
}

static double share(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

static json_t *rows_json(const row *rows, size_t n_rows, const row *whole) {
    json_t *list = json_array();
    int failed = 0;
    for (size_t i = 0; i < n_rows; i++) {
        const row *r = &rows[i];
        failed |= json_array_append_new(
            list,
            json_pack("{s:s, s:i, s:f, s:f, s:s, s:I, s:f, s:f, s:f}", "op", r->kind, "n_steps",
                      r->n_steps, "seconds", r->seconds, "share", share(r->seconds, whole->seconds),
                      "bound", bound_of(r), "n_launches", (json_int_t)r->launches, "flop", r->flops,
                      "f32_flop", r->f32_flops, "bytes", r->bytes));
    }
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *result_json(const sf_bench_device *device, const row *rows, size_t n_rows,
                           const row *whole) {
    const sf_device_speed *speed = &device->speed;
    json_t *shares = json_object();
    for (int limit = 0; limit < SF_N_LIMITS; limit++)
        if (json_object_set_new(shares, limit_names[limit],
                                json_real(share(whole->by_limit[limit], whole->seconds))) != 0) {
            json_decref(shares);
            return NULL;
        }
    double in_f32 = speed->f32_flops_per_second;
    json_t *sheet =
        json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "name", device->name, "source", device->source,
                  "flop_per_s", speed->flops_per_second, "f32_flop_per_s",
                  in_f32 > 0 ? in_f32 : speed->flops_per_second, "bytes_per_s",
                  speed->bytes_per_second, "launch_seconds", speed->seconds_per_launch);
    return json_pack(
        "{s:o, s:f, s:o, s:I, s:f, s:f, s:f, s:o}", "device", sheet, "seconds", whole->seconds,
        "share_bound_by", shares, "n_launches", (json_int_t)whole->launches, "flop", whole->flops,
        "f32_flop", whole->f32_flops, "bytes", whole->bytes, "ops", rows_json(rows, n_rows, whole));
}

sf_status sf_bench_roofline(sf_context *ctx, const sf_plan *plan, const sf_bench_device *device,
                            bool by_shapes, json_t **result) {
    row *rows = SF_NEW_ARRAY(ctx, row, sf_plan_step_count(plan)), whole = {.n_steps = 0};
    size_t n_rows = 0;
    if (!rows)
        return SF_ERROR_MEMORY;
    sf_status status = add_up(plan, device, by_shapes, rows, &n_rows, &whole);
    if (status == SF_OK) {
        qsort(rows, n_rows, sizeof *rows, by_time);
        *result = result_json(device, rows, n_rows, &whole);
    }
    sf_free(ctx, rows);
    return status;
}
