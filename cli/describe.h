/*
 * JSON descriptions as text for people.
 */
#ifndef SF_CLI_DESCRIBE_H
#define SF_CLI_DESCRIBE_H

#include <jansson.h>

#define FORMAT_BYTES_TEXT 32

/* "1.60 GiB"; text has FORMAT_BYTES_TEXT bytes and is returned. */
const char *format_bytes(json_int_t bytes, char *text);

/* What sf_pipeline_describe() gave, on stdout. */
void describe_plan(const char *json);

/* What sf_bench_component() and sf_bench_op() gave. */
void describe_bench_component(const json_t *result);
void describe_bench_roofline(const json_t *result);
void describe_bench_op(const json_t *result);

/* Any JSON value as indented "key: value" lines on stdout; lists of objects as rows. */
void describe_any(const char *json);

#endif
