/*
 * JSON descriptions as text for people.
 */
#ifndef SF_CLI_DESCRIBE_H
#define SF_CLI_DESCRIBE_H

/* What sf_pipeline_describe() gave, on stdout. */
void describe_plan(const char *json);

/* Any JSON value as indented "key: value" lines on stdout; lists of objects as rows. */
void describe_any(const char *json);

#endif
