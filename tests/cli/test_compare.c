/*
 * `sfumato samplers` and `sfumato compare`, and the options that lists of levels have.
 */
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/model_folder.h"
#include "tests/support/scratch.h"
#include "tests/support/support.h"

Suite *suite_cli_compare(void);

/* ---- samplers ---- */

START_TEST(every_sampler_and_schedule_is_listed) {
    struct command_result lines, json;
    int n_samplers, n_schedules;
    const sf_sampler_info *const *samplers = sf_sampler_list(&n_samplers);
    const sf_schedule_info *const *schedules = sf_schedule_list(&n_schedules);
    cli_run(&lines, "samplers");
    cli_run(&json, "samplers", "--json");
    ck_assert_int_eq(lines.status, 0);
    ck_assert_int_eq(json.status, 0);
    json_t *whole = json_loads(json.out, 0, NULL);
    const json_t *list = json_object_get(whole, "samplers");
    ck_assert_uint_eq(json_array_size(list), (size_t)n_samplers);
    for (int i = 0; i < n_samplers; i++) {
        const json_t *entry = json_array_get(list, (size_t)i);
        char start[64];
        snprintf(start, sizeof start, "\n%s ", samplers[i]->name);
        ck_assert_msg(strstr(lines.out, start) && strstr(lines.out, samplers[i]->description), "%s",
                      samplers[i]->name);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "name")), samplers[i]->name);
        ck_assert_int_eq(json_integer_value(json_object_get(entry, "order")), samplers[i]->order);
        ck_assert_int_eq(json_is_true(json_object_get(entry, "stochastic")),
                         samplers[i]->stochastic);
        ck_assert_int_gt(json_integer_value(json_object_get(entry, "least_steps")), 0);
        ck_assert_int_ge(json_integer_value(json_object_get(entry, "most_steps")),
                         json_integer_value(json_object_get(entry, "least_steps")));
    }
    list = json_object_get(whole, "schedules");
    ck_assert_uint_eq(json_array_size(list), (size_t)n_schedules);
    for (int i = 0; i < n_schedules; i++) {
        const json_t *entry = json_array_get(list, (size_t)i);
        ck_assert(schedules[i]->title && schedules[i]->description);
        ck_assert_str_eq(json_string_value(json_object_get(entry, "name")), schedules[i]->name);
        ck_assert_ptr_nonnull(strstr(lines.out, schedules[i]->description));
    }
    json_decref(whole);
    command_result_free(&lines);
    command_result_free(&json);
}
END_TEST

/* The name as a word. */
static bool names(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += length)
        if (at > text && strchr(" `\n", at[-1]) && strchr("`,. \n", at[length]))
            return true;
    return false;
}

/* The manual page and README.md name each sampler, doc/samplers.md those that the sheet shows. */
START_TEST(every_sampler_is_in_the_papers) {
    static const char *const files[] = {"README.md", "doc/sfumato.1", "doc/samplers.md"};
    int n_samplers, n_schedules;
    const sf_sampler_info *const *samplers = sf_sampler_list(&n_samplers);
    const sf_schedule_info *const *schedules = sf_schedule_list(&n_schedules);
    for (int k = 0; k < 3; k++) {
        char *text = test_read_file(test_source(files[k]), NULL);
        for (int i = 0; i < n_samplers; i++)
            if (k < 2 || samplers[i]->kind == SF_SAMPLER_DIFFUSION)
                ck_assert_msg(names(text, samplers[i]->name), "%s lacks %s", files[k],
                              samplers[i]->name);
        for (int i = 0; i < n_schedules && k == 1; i++)
            ck_assert_msg(names(text, schedules[i]->name), "%s lacks %s", files[k],
                          schedules[i]->name);
        free(text);
    }
}
END_TEST

/* ---- compare ---- */

static sf_image *load(sf_context *ctx, const char *name) {
    sf_image *image;
    ck_ok(ctx, sf_image_load(ctx, scratch(name), &image));
    return image;
}

static void read_text(const char *name, char *text, size_t bytes) {
    FILE *file = fopen(scratch(name), "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, bytes - 1, file)] = '\0';
    fclose(file);
}

/* Of small pictures: letters 6 pixels apart, lines of 9 below a row of 1; 4 pixels between the cells. */
#define CAPTION(lines) ((lines)*9 + 1)
#define GAP            4

/* Black pixels below a picture of the sheet, in the columns of one letter, on one line of its caption. */
static int ink_of_letter(sf_image *sheet, int left, int below, int letter, int line) {
    int n = 0;
    for (int y = below + line * 9 + 1; y < below + line * 9 + 9; y++)
        for (int x = left + 6 * letter; x < left + 6 * letter + 5; x++)
            n += sf_image_pixels(sheet)[3 * (y * sf_image_width(sheet) + x)] == 0;
    return n;
}

/* The picture in a cell of the sheet is the other one. */
static void check_cell(sf_image *sheet, int left, int top, sf_image *picture) {
    size_t bytes = 3 * (size_t)sf_image_width(picture);
    for (int y = 0; y < sf_image_height(picture); y++)
        ck_assert_mem_eq(sf_image_pixels(sheet) + 3 * ((top + y) * sf_image_width(sheet) + left),
                         sf_image_pixels(picture) + (size_t)y * bytes, bytes);
}

/*
 * The reference is in the grid too: its distance is 0. More steps of Euler come nearer to it. A
 * picture that can't be drawn (more steps than training has) is a line with a reason.
 */
START_TEST(a_grid_of_pictures) {
    struct command_result result;
    char text[4096];
    sf_context *ctx = test_context();
    cli_run(&result, "compare", "--quiet", "red", "--samplers", "ddim,euler,ddim", "--steps",
            "2,8,1001", "--reference-steps", "8", "--output-dir", "grid", "--width", "64",
            "--height", "64");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_str_eq(result.out, "");
    ck_assert_str_eq(result.err, "");
    read_text("grid/distances.csv", text, sizeof text);
    int lines = 0;
    double distances[9] = {0};
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        int row, column, steps;
        char name[32];
        if (lines == 0) {
            ck_assert_str_eq(line, "row,column,sampler,steps,rms,seconds,reason");
            continue;
        }
        ck_assert_int_ge(sscanf(line, "%d,%d,\"%31[^\"]\",%d,%lf", &row, &column, name, &steps,
                                &distances[lines - 1]),
                         4);
        ck_assert_int_eq(3 * row + column, lines - 1);
        ck_assert_str_eq(name, row == 1 ? "euler" : "ddim");
        if (column == 2 && row != 1)
            ck_assert_msg(strstr(line, "1001") && strstr(line, "of training"), "%s", line);
    }
    ck_assert_int_eq(lines, 10);
    ck_assert(distances[1] == 0 && distances[7] == 0);
    ck_assert(distances[0] > 0 && distances[0] == distances[6]);
    ck_assert(distances[3] > distances[4] && distances[4] > 0);
    sf_image *sheet = load(ctx, "grid/sheet.png"), *reference = load(ctx, "grid/reference.png");
    ck_assert_int_eq(sf_image_width(sheet), 3 * sf_image_width(reference) + 2 * 4);
    int side = sf_image_height(reference), cell = side + CAPTION(1) + GAP;
    ck_assert_int_eq(side, 64);
    ck_assert_int_eq(sf_image_height(sheet), 3 * cell - GAP);
    check_cell(sheet, side + GAP, 0, reference);
    check_cell(sheet, side + GAP, 2 * cell, reference);
    /* "ddim 2", "euler 8", "ddim 1001": the letter l is two pixels wide at its top, then one. */
    ck_assert_int_eq(ink_of_letter(sheet, 0, side, 4, 0), 0);
    ck_assert_int_gt(ink_of_letter(sheet, 0, side, 5, 0), 0);
    ck_assert_int_eq(ink_of_letter(sheet, 0, side, 6, 0), 0);
    ck_assert_int_eq(ink_of_letter(sheet, side + GAP, cell + side, 2, 0), 2 + 5 + 3);
    ck_assert_int_gt(ink_of_letter(sheet, 2 * (side + GAP), 2 * cell + side, 8, 0), 0);
    read_text("grid/distances.svg", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "<svg xmlns"));
    ck_assert_ptr_nonnull(strstr(text, "ddim, 8 steps"));
    ck_assert_ptr_nonnull(strstr(text, ">euler</text>"));
    ck_assert_ptr_nonnull(strstr(text, "<polyline"));
    sf_image_free(sheet);
    sf_image_free(reference);
    command_result_free(&result);
    sf_context_free(ctx);
}
END_TEST

/* Five samplers of one number of steps: three columns. */
START_TEST(a_square_of_pictures) {
    struct command_result result;
    char text[4096];
    sf_context *ctx = test_context();
    cli_run(&result, "compare", "--quiet", "red", "--samplers",
            "ddim,euler,dpmpp_2m_sde,unipc,deis", "--steps", "2", "--reference-steps", "2",
            "--output-dir", "square", "--width", "64");
    ck_assert_msg(result.status == 0, "%s", result.err);
    sf_image *sheet = load(ctx, "square/sheet.png"), *reference = load(ctx, "square/reference.png");
    ck_assert_int_eq(sf_image_width(sheet), 3 * sf_image_width(reference) + 2 * 4);
    int side = sf_image_height(reference), third = 2 * (sf_image_width(reference) + GAP);
    ck_assert_int_eq(sf_image_height(sheet), 2 * (side + CAPTION(2)) + GAP);
    /* "dpmpp_2m_" and "sde" below it; "ddim" has one line. */
    ck_assert_int_eq(ink_of_letter(sheet, third, side, 8, 0), 5);
    ck_assert_int_eq(ink_of_letter(sheet, third, side, 9, 0), 0);
    ck_assert_int_gt(ink_of_letter(sheet, third, side, 2, 1), 0);
    ck_assert_int_eq(ink_of_letter(sheet, 0, side, 0, 1), 0);
    read_text("square/distances.csv", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "\n0,2,\"dpmpp_2m_sde\",2,"));
    ck_assert_ptr_nonnull(strstr(text, "\n1,1,\"deis\",2,"));
    sf_image_free(sheet);
    sf_image_free(reference);
    command_result_free(&result);
    sf_context_free(ctx);
}
END_TEST

/* Narrow ones have none. */
START_TEST(a_picture_too_narrow_for_words) {
    struct command_result result;
    sf_context *ctx = test_context();
    cli_run(&result, "compare", "--quiet", "red", "--samplers", "ddim", "--steps", "2",
            "--reference-steps", "2", "--output-dir", "narrow");
    ck_assert_msg(result.status == 0, "%s", result.err);
    sf_image *sheet = load(ctx, "narrow/sheet.png"), *reference = load(ctx, "narrow/reference.png");
    ck_assert_int_eq(sf_image_width(sheet), sf_image_width(reference));
    ck_assert_int_eq(sf_image_height(sheet), sf_image_height(reference));
    check_cell(sheet, 0, 0, reference);
    sf_image_free(sheet);
    sf_image_free(reference);
    command_result_free(&result);
    sf_context_free(ctx);
}
END_TEST

/* A model that takes the guidance scale as an input; what has no effect there is said once. */
START_TEST(a_distilled_model) {
    struct command_result result;
    model_copy_distilled("model");
    cli_run(&result, "compare", "red", "--model", scratch("model"), "--quiet", "-n", "le",
            "--samplers", "lcm,tcd", "--steps", "1,4", "--reference-sampler", "lcm",
            "--reference-steps", "8", "--output-dir", "grid");
    ck_assert_msg(result.status == 0, "%s", result.err);
    ck_assert_msg(strncmp(result.err, "sfumato: warning: model takes the guidance scale", 48) ==
                          0 &&
                      is_one_line(result.err),
                  "%s", result.err);
    ck_assert_int_eq(access(scratch("grid/sheet.png"), F_OK), 0);
    command_result_free(&result);
}
END_TEST

START_TEST(wrong_usage) {
    check_cli(2, "", NULL, "compare");
    check_cli(2, "", NULL, "compare", "red", "apple");
    check_cli(2, "",
              "sfumato compare: --steps 2.5: must be whole, from 1 to 10000; see sfumato "
              "compare --help\n",
              "compare", "red", "--steps", "2.5");
    check_cli(2, "", NULL, "compare", "red", "--steps", "5,x");
    check_cli(2, "", NULL, "compare", "red", "--samplers", ",");
    check_cli(2, "", NULL, "compare", "red", "--schedule", "carras");
    check_cli_fails("there is no sampler \"eular\"", "compare", "red", "--samplers", "ddim,eular");
    check_cli_fails("nowhere/x", "compare", "red", "--samplers", "ddim", "--output-dir",
                    "nowhere/x");
    check_cli(2, "", "sfumato samplers: unexpected argument \"x\"; see sfumato samplers --help\n",
              "samplers", "x");
}
END_TEST

/* Schedule and eta go to those that have them. */
START_TEST(what_a_sampler_lacks_is_left_out) {
    struct command_result result;
    char text[4096];
    cli_run(&result, "compare", "--quiet", "red", "--samplers", "ddim,euler,lcm", "--steps", "3",
            "--reference-steps", "3", "--schedule", "ays", "--eta", "0.5", "--output-dir", "grid");
    ck_assert_msg(result.status == 0, "%s", result.err);
    read_text("grid/distances.csv", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "\n0,0,\"ddim\",3,"));
    ck_assert_ptr_null(strstr(text, "\"ddim\",3,0.0000")); /* it has noise */
    ck_assert_ptr_null(strstr(text, ",,"));                /* all were drawn */
    command_result_free(&result);
}
END_TEST

/* ---- lists of levels ---- */

START_TEST(lists_of_levels) {
    check_cli(0, "", "", "generate", "--quiet", "red", "--sampler", "euler", "--sigmas",
              "14,3,0.5,0", "--guidance-rescale", "0.5", "-o", "a.png");
    check_cli(0, NULL, "", "generate", "--quiet", "--from-image", "a.png", "--verify");
    check_cli(0, "", "", "generate", "--quiet", "red", "--sampler", "ddpm", "--timesteps",
              "999,500,20", "-o", "b.png");
    check_cli(0, "", "", "generate", "--quiet", "--from-image", "a.png", "--timesteps", "999,20",
              "-o", "b.png");
    check_cli(0, "", "", "generate", "--quiet", "--from-image", "a.png", "--steps", "2", "-o",
              "b.png");
    check_cli(2, "",
              "sfumato generate: --sigmas 3,,0: must be numbers with ',' between; see sfumato "
              "generate --help\n",
              "generate", "red", "--sigmas", "3,,0");
    check_cli(2, "", NULL, "generate", "red", "--timesteps", "999,");
    check_cli(2, "", NULL, "generate", "red", "--sigmas", "inf");
}
END_TEST

Suite *suite_cli_compare(void) {
    Suite *suite = suite_create("cli_compare");
    TCase *tcase = tcase_create("compare");
    tcase_add_checked_fixture(tcase, cli_setup, cli_teardown);
    tcase_add_test(tcase, every_sampler_and_schedule_is_listed);
    tcase_add_test(tcase, every_sampler_is_in_the_papers);
    tcase_add_test(tcase, a_grid_of_pictures);
    tcase_add_test(tcase, a_square_of_pictures);
    tcase_add_test(tcase, a_picture_too_narrow_for_words);
    tcase_add_test(tcase, what_a_sampler_lacks_is_left_out);
    tcase_add_test(tcase, a_distilled_model);
    tcase_add_test(tcase, wrong_usage);
    tcase_add_test(tcase, lists_of_levels);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return suite;
}
