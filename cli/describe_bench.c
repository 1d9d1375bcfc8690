/*
 * What `sfumato bench` measured, as text for people. See describe.h.
 */
#include <stdio.h>
#include <string.h>

#include "cli/describe.h"

static double real_of(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static json_int_t bytes_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* "2.35 s", "18.2 ms", "7.1 us" */
static const char *format_seconds(double seconds, char text[32]) {
    const char *unit = seconds >= 1 ? "s" : seconds >= 1e-3 ? "ms" : "us";
    double value = seconds >= 1 ? seconds : seconds >= 1e-3 ? seconds * 1e3 : seconds * 1e6;
    snprintf(text, 32, "%.*f %s", value >= 100 ? 0 : value >= 10 ? 1 : 2, value, unit);
    return text;
}

/* "sample [1, 4, 64, 64], timestep [1]" */
static void print_inputs(json_t *inputs) {
    const char *name, *before = "";
    json_t *dims;
    json_object_foreach(inputs, name, dims) {
        printf("%s%s [", before, name);
        for (size_t axis = 0; axis < json_array_size(dims); axis++)
            printf("%s%d", axis ? ", " : "", (int)json_integer_value(json_array_get(dims, axis)));
        printf("]");
        before = ", ";
    }
}

/* ---- a component ---- */

static void print_times(const json_t *result) {
    char min[32], median[32], load[32], plan[32], first[32];
    const json_t *seconds = json_object_get(result, "seconds");
    printf("  time        %s median, %s min of %zu\n",
           format_seconds(real_of(seconds, "median"), median),
           format_seconds(real_of(seconds, "min"), min),
           json_array_size(json_object_get(seconds, "runs")));
    printf("  speed       %.1f GFLOP/s (%.1f GFLOP)\n", real_of(result, "gflop_per_s"),
           real_of(result, "flop") * 1e-9);
    printf("  first       %s to load, %s to plan, %s to run\n",
           format_seconds(real_of(result, "load_seconds"), load),
           format_seconds(real_of(result, "plan_seconds"), plan),
           format_seconds(real_of(result, "first_run_seconds"), first));
}

static void print_memory(const json_t *result) {
    char texts[4][FORMAT_BYTES_TEXT];
    const json_t *memory = json_object_get(result, "memory");
    printf(
        "  memory      %s of weights, %s of activations, %s planned, %s peak resident\n",
        format_bytes(bytes_of(memory, "weight_bytes"), texts[0]),
        format_bytes(bytes_of(memory, "arena_bytes") + bytes_of(memory, "staging_bytes"), texts[1]),
        format_bytes(bytes_of(memory, "planned_peak_bytes"), texts[2]),
        format_bytes(bytes_of(memory, "peak_resident_bytes"), texts[3]));
}

static void print_ops(const json_t *ops) {
    size_t index;
    json_t *row;
    char seconds[32];
    if (!ops)
        return;
    printf("  %10s %7s %9s %9s %8s %6s  %s\n", "time", "share", "GFLOP", "GFLOP/s", "GB/s", "steps",
           "op");
    json_array_foreach((json_t *)ops, index, row)
        printf("  %10s %6.1f%% %9.2f %9.1f %8.1f %6d  %s\n",
               format_seconds(real_of(row, "seconds"), seconds), 100 * real_of(row, "share"),
               real_of(row, "flop") * 1e-9, real_of(row, "gflop_per_s"), real_of(row, "gb_per_s"),
               (int)bytes_of(row, "n_steps"), text_of(row, "op"));
}

static void print_steps(const json_t *result) {
    int n_fallbacks = (int)bytes_of(result, "n_fallback_ops");
    printf("  steps       %d", (int)bytes_of(result, "n_ops"));
    if (n_fallbacks)
        printf(", %d of them not on %s", n_fallbacks, text_of(result, "backend"));
    printf("\n");
}

static void print_counters(const json_t *counters) {
    char up[FORMAT_BYTES_TEXT], down[FORMAT_BYTES_TEXT];
    if (!counters)
        return;
    printf("  a run       %d launches (%d of products), %d waits, %d allocations, %d builds, %s "
           "up, %s down\n",
           (int)bytes_of(counters, "n_launches"), (int)bytes_of(counters, "n_products"),
           (int)bytes_of(counters, "n_synchronizations"), (int)bytes_of(counters, "n_allocations"),
           (int)bytes_of(counters, "n_builds"),
           format_bytes(bytes_of(counters, "bytes_uploaded"), up),
           format_bytes(bytes_of(counters, "bytes_downloaded"), down));
}

void describe_bench_component(const json_t *result) {
    printf("%s (%s) on %s, %s\n  inputs      ", text_of(result, "component"),
           text_of(result, "class"), text_of(result, "backend"), text_of(result, "precision"));
    print_inputs(json_object_get(result, "inputs"));
    printf("\n");
    print_times(result);
    print_memory(result);
    print_steps(result);
    print_counters(json_object_get(result, "counters"));
    print_ops(json_object_get(result, "ops"));
}

/* ---- a component on paper ---- */

static void print_device(const json_t *device) {
    char launch[32];
    printf("  device      %s: %.1f TFLOP/s, %.0f GB/s, %s a launch\n", text_of(device, "name"),
           real_of(device, "flop_per_s") * 1e-12, real_of(device, "bytes_per_s") * 1e-9,
           format_seconds(real_of(device, "launch_seconds"), launch));
}

static void print_bounds(const json_t *ops) {
    size_t index;
    json_t *row;
    char seconds[32];
    printf("  %10s %7s %-8s %9s %9s %9s %6s  %s\n", "time", "share", "bound by", "launches",
           "GFLOP", "MB", "steps", "op");
    json_array_foreach((json_t *)ops, index, row)
        printf("  %10s %6.1f%% %-8s %9d %9.2f %9.1f %6d  %s\n",
               format_seconds(real_of(row, "seconds"), seconds), 100 * real_of(row, "share"),
               text_of(row, "bound"), (int)bytes_of(row, "n_launches"), real_of(row, "flop") * 1e-9,
               real_of(row, "bytes") * 1e-6, (int)bytes_of(row, "n_steps"), text_of(row, "op"));
}

void describe_bench_roofline(const json_t *result) {
    char seconds[32];
    const json_t *roofline = json_object_get(result, "roofline");
    const json_t *shares = json_object_get(roofline, "share_bound_by");
    printf("%s (%s) on %s on paper, %s, weights in %s\n  inputs      ",
           text_of(result, "component"), text_of(result, "class"), text_of(result, "backend"),
           text_of(result, "precision"), text_of(result, "weights"));
    print_inputs(json_object_get(result, "inputs"));
    printf("\n");
    print_device(json_object_get(roofline, "device"));
    printf("  time        %s at best; bound by launches %.0f%%, memory %.0f%%, compute %.0f%%\n",
           format_seconds(real_of(roofline, "seconds"), seconds), 100 * real_of(shares, "launch"),
           100 * real_of(shares, "memory"), 100 * real_of(shares, "compute"));
    printf("  a run       %d launches, %.1f GFLOP, %.2f GB\n",
           (int)bytes_of(roofline, "n_launches"), real_of(roofline, "flop") * 1e-9,
           real_of(roofline, "bytes") * 1e-9);
    print_steps(result);
    print_bounds(json_object_get(roofline, "ops"));
}

/* ---- an op ---- */

static void print_texts(const json_t *texts) {
    for (size_t i = 0; i < json_array_size(texts); i++)
        printf("%s%s", i ? ", " : "", json_string_value(json_array_get(texts, i)));
}

static void print_case(const json_t *row) {
    char median[32], min[32];
    const json_t *seconds = json_object_get(row, "seconds");
    printf("  %10s %10s %9.1f %8.1f  ", format_seconds(real_of(seconds, "median"), median),
           format_seconds(real_of(seconds, "min"), min), real_of(row, "gflop_per_s"),
           real_of(row, "gb_per_s"));
    print_texts(json_object_get(row, "inputs"));
    if (json_array_size(json_object_get(row, "attributes")))
        printf("; ");
    print_texts(json_object_get(row, "attributes"));
    printf("%s\n", json_is_true(json_object_get(row, "lowered")) ? " (as simpler ops)" : "");
}

void describe_bench_op(const json_t *result) {
    size_t index;
    json_t *row;
    printf("%s on %s\n  %10s %10s %9s %8s  inputs\n", text_of(result, "op"),
           text_of(result, "backend"), "median", "min", "GFLOP/s", "GB/s");
    json_array_foreach(json_object_get(result, "cases"), index, row) print_case(row);
}
