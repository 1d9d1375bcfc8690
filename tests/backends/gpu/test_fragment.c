/*
 * kernels/fragment.h: which numbers of a matrix each work-item of a warp takes, and which sums are its
 * own. Matrix units can't run here, so what they do is computed by the rules of NVIDIA's PTX ISA
 * ("ldmatrix", "mma.m16n8k16", "mma.m16n8k8"), told how the macros of the header say.
 */
#include <stdbool.h>

#include "backends/gpu/kernels/fragment.h"
#include "tests/support/support.h"

Suite *suite_backends_gpu_fragment(void);

#define LANES 32
#define PITCH 24

/* Four registers of two numbers, of each lane. */
typedef struct registers {
    int two[LANES][4][2];
} registers;

/* What a lane names in a matrix. */
typedef struct naming {
    int row, column;
} naming;

static naming name_row(int lane) {
    return (naming){LANE_ROW(lane), LANE_COLUMN(lane)};
}

static naming name_other_row(int lane) {
    return (naming){LANE_OTHER_ROW(lane), LANE_OTHER_COLUMN(lane)};
}

static naming name_turned_row(int lane) {
    return (naming){LANE_TURNED_ROW(lane), LANE_TURNED_COLUMN(lane)};
}

/*
 * ldmatrix.x4: lanes 8 j to 8 j + 7 name the rows of matrix j, 8 x 8; register j of a lane holds two
 * neighbours of row lane / 4 of it, or, .trans, of column lane / 4.
 */
static registers load_matrices(int memory[16][PITCH], naming (*name)(int lane), bool turned) {
    registers loaded;
    for (int lane = 0; lane < LANES; lane++)
        for (int j = 0; j < 4; j++)
            for (int i = 0; i < 2; i++) {
                int across = lane % 4 * 2 + i, down = lane / 4;
                naming at = name(8 * j + (turned ? across : down));
                loaded.two[lane][j][i] = memory[at.row][at.column + (turned ? down : across)];
            }
    return loaded;
}

/* mma.m16n8k16: number i of the 8 that a lane has of a, of the 4 of b; n: the half of the columns. */
static void multiply_16(const registers *a, const registers *b, int n, int sums[16][8]) {
    int left[16][16], right[16][8];
    for (int lane = 0; lane < LANES; lane++) {
        for (int i = 0; i < 8; i++) {
            int row = lane / 4 + ((i < 2 || (i >= 4 && i < 6)) ? 0 : 8);
            left[row][lane % 4 * 2 + i % 2 + (i < 4 ? 0 : 8)] = a->two[lane][i / 2][i % 2];
        }
        for (int i = 0; i < 4; i++)
            right[lane % 4 * 2 + i % 2 + (i < 2 ? 0 : 8)][lane / 4] =
                b->two[lane][2 * n + i / 2][i % 2];
    }
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++)
            for (int k = 0; k < 16; k++)
                sums[row][column] += left[row][k] * right[k][column];
}

/* Twice mma.m16n8k8, of which each takes a half of the registers. */
static void multiply_8(const registers *a, const registers *b, int n, int sums[16][8]) {
    for (int part = 0; part < 2; part++) {
        int left[16][8], right[8][8];
        for (int lane = 0; lane < LANES; lane++) {
            for (int i = 0; i < 4; i++)
                left[lane / 4 + (i < 2 ? 0 : 8)][lane % 4 * 2 + i % 2] =
                    a->two[lane][2 * part + i / 2][i % 2];
            for (int i = 0; i < 2; i++)
                right[lane % 4 * 2 + i][lane / 4] = b->two[lane][2 * n + part][i];
        }
        for (int row = 0; row < 16; row++)
            for (int column = 0; column < 8; column++)
                for (int k = 0; k < 8; k++)
                    sums[row][column] += left[row][k] * right[k][column];
    }
}

/* Both instructions: number i of the 4 sums of a lane. */
static int row_of_sum(int lane, int i) {
    return lane / 4 + (i < 2 ? 0 : 8);
}

static int column_of_sum(int lane, int i) {
    return lane % 4 * 2 + i % 2;
}

static void fill(int matrix[16][PITCH], int seed) {
    for (int i = 0; i < 16 * PITCH; i++)
        matrix[i / PITCH][i % PITCH] = (i * 37 + seed * 11) % 19 - 9;
}

static const struct {
    bool turned; /* b's columns are the rows of memory */
    void (*multiply)(const registers *a, const registers *b, int n, int sums[16][8]);
} products[] = {{false, multiply_16}, {true, multiply_16}, {false, multiply_8}, {true, multiply_8}};

START_TEST(units_multiply_what_lanes_name) {
    int left[16][PITCH], right[16][PITCH];
    fill(left, 1);
    fill(right, 2);
    bool turned = products[_i].turned;
    registers a = load_matrices(left, name_row, false);
    registers b = load_matrices(right, turned ? name_turned_row : name_other_row, turned);
    for (int n = 0; n < 2; n++) {
        int sums[16][8] = {{0}};
        products[_i].multiply(&a, &b, n, sums);
        for (int lane = 0; lane < LANES; lane++)
            for (int i = 0; i < 4; i++) {
                int own = 4 * n + i, expected = 0;
                int row = SUM_ROW(lane, own), column = SUM_COLUMN(lane, own);
                for (int k = 0; k < 16; k++)
                    expected += left[row][k] * (turned ? right[k][column] : right[column][k]);
                ck_assert_int_eq(sums[row_of_sum(lane, i)][column_of_sum(lane, i)], expected);
            }
    }
}
END_TEST

/* take_sums(): pairs of sums are the registers that take_rows() would load of the matrix of sums. */
START_TEST(sums_are_rows) {
    int matrix[16][PITCH];
    fill(matrix, 3);
    registers loaded = load_matrices(matrix, name_row, false);
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < WARP_SUMS; i++)
            ck_assert_int_eq(loaded.two[lane][i / 2][i % 2],
                             matrix[SUM_ROW(lane, i)][SUM_COLUMN(lane, i)]);
}
END_TEST

/* row_max() and row_sum() join four neighbours: those have the same rows, and all columns of them. */
START_TEST(neighbours_share_rows) {
    for (int first = 0; first < LANES; first += 4)
        for (int half = 0; half < 2; half++) {
            int seen = 0;
            for (int lane = first; lane < first + 4; lane++)
                for (int i = 0; i < WARP_SUMS; i++) {
                    if (i / 2 % 2 != half)
                        continue;
                    ck_assert_int_eq(SUM_ROW(lane, i), first / 4 + 8 * half);
                    seen |= 1 << SUM_COLUMN(lane, i);
                }
            ck_assert_int_eq(seen, 0xffff);
        }
}
END_TEST

/* take_spread_rows(): the registers that take_other_rows() would load. */
START_TEST(pairs_are_other_rows) {
    int matrix[16][PITCH];
    fill(matrix, 4);
    registers loaded = load_matrices(matrix, name_other_row, false);
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 2; j++)
                ck_assert_int_eq(loaded.two[lane][i][j],
                                 matrix[PAIR_ROW(lane, i)][PAIR_COLUMN(lane, i) + j]);
}
END_TEST

Suite *suite_backends_gpu_fragment(void) {
    Suite *suite = suite_create("backends_gpu_fragment");
    TCase *tcase = tcase_create("layout");
    tcase_add_loop_test(tcase, units_multiply_what_lanes_name, 0,
                        sizeof products / sizeof *products);
    tcase_add_test(tcase, sums_are_rows);
    tcase_add_test(tcase, pairs_are_other_rows);
    tcase_add_test(tcase, neighbours_share_rows);
    suite_add_tcase(suite, tcase);
    return suite;
}
