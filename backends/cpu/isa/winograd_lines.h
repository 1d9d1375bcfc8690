/*
 * One line of Winograd's transforms, F(4, 3) and F(6, 3), from Toom and Cook's construction with the
 * points 0, p, -p, q, -q, ... and infinity: the rows of B^T are the coefficients of Lagrange's polynomials,
 * those of G and A^T powers of the points. A point and its opposite share the even and the odd part.
 *
 * With P(z) = (z - p^2)(z - q^2)... and P_i the same without the factor of point i, both in z = x^2:
 *
 *   input     d0, d1, ...  ->  sum c_j d[2j];  sum e_ij d[2j+2] +- p_i sum e_ij d[2j+1];  sum c_j d[2j+1]
 *   filter    g0, g1, g2   ->  g0 / c_0;  (g0 + p_i^2 g2 +- p_i g1) / (2 p_i^2 P_i(p_i^2));  g2
 *   output j  m0, m1, ...  ->  sum p_i^j (m+ + (-1)^j m-), m0 added to the first and the last m to the last
 *
 * with c the coefficients of P and e_i those of P_i.
 *
 * Points with exact powers whose error is small, found by trying: for 4 outputs 5/8 and 3/2, with less than
 * half the error of the usual 1 and 2; for 6 outputs 1/2, 1 and 2 (cf. Barabasz et al. 2018, "Error Analysis
 * and Improving the Accuracy of Winograd Convolution for Deep Neural Networks").
 */
#ifndef SF_BACKENDS_CPU_ISA_WINOGRAD_LINES_H
#define SF_BACKENDS_CPU_ISA_WINOGRAD_LINES_H

#include "backends/cpu/isa/vector.h"

#define WINOGRAD_MOST_PAIRS 3

typedef struct winograd_points {
    float p[WINOGRAD_MOST_PAIRS];
    float c[WINOGRAD_MOST_PAIRS + 1];
    float e[WINOGRAD_MOST_PAIRS][WINOGRAD_MOST_PAIRS];
} winograd_points;

#define A2 (0.625f * 0.625f)
#define B2 (1.5f * 1.5f)

static const winograd_points points_4 = {
    .p = {0.625f, 1.5f}, .c = {A2 * B2, -(A2 + B2), 1}, .e = {{-B2, 1}, {-A2, 1}}};

static const winograd_points points_6 = {
    .p = {0.5f, 1, 2},
    .c = {-1, 5.25f, -5.25f, 1},
    .e = {{4, -5, 1}, {1, -4.25f, 1}, {0.25f, -1.25f, 1}},
};

#undef A2
#undef B2

INLINE const winograd_points *points_of(int m) {
    return m == 4 ? &points_4 : &points_6;
}

/* m + 2 numbers `step` apart, in place. m, the number of outputs, is a constant, here and below. */
INLINE void winograd_input_line(int m, vec *d, int step) {
    const winograd_points *t = points_of(m);
    int pairs = m / 2;
    vec out[8];
    out[0] = t->c[0] * d[0];
    out[m + 1] = t->c[0] * d[step];
    UNROLL
    for (int j = 1; j <= pairs; j++) {
        out[0] += t->c[j] * d[2 * j * step];
        out[m + 1] += t->c[j] * d[(2 * j + 1) * step];
    }
    UNROLL
    for (int i = 0; i < pairs; i++) {
        vec even = t->e[i][0] * d[2 * step], odd = t->e[i][0] * d[step];
        UNROLL
        for (int j = 1; j < pairs; j++) {
            even += t->e[i][j] * d[(2 * j + 2) * step];
            odd += t->e[i][j] * d[(2 * j + 1) * step];
        }
        out[1 + 2 * i] = even + t->p[i] * odd;
        out[2 + 2 * i] = even - t->p[i] * odd;
    }
    UNROLL
    for (int i = 0; i < m + 2; i++)
        d[i * step] = out[i];
}

/* P_i(p_i^2) */
INLINE float winograd_weight(const winograd_points *t, int pairs, int i) {
    float square = t->p[i] * t->p[i], power = 1, sum = 0;
    UNROLL
    for (int j = 0; j < pairs; j++, power *= square)
        sum += t->e[i][j] * power;
    return sum;
}

/* 3 numbers `step` apart to m + 2 numbers `out_step` apart. */
INLINE void winograd_filter_line(int m, const vec *g, int step, vec *out, int out_step) {
    const winograd_points *t = points_of(m);
    out[0] = g[0] * (1 / t->c[0]);
    UNROLL
    for (int i = 0; i < m / 2; i++) {
        float p = t->p[i], scale = 1 / (2 * p * p * winograd_weight(t, m / 2, i));
        vec even = (g[0] + (p * p) * g[2 * step]) * scale, odd = g[step] * (p * scale);
        out[(1 + 2 * i) * out_step] = even + odd;
        out[(2 + 2 * i) * out_step] = even - odd;
    }
    out[(m + 1) * out_step] = g[2 * step];
}

/* m + 2 sums `step` apart to m outputs `out_step` apart. */
INLINE void winograd_output_line(int m, const vec *sums, int step, vec *out, int out_step) {
    const winograd_points *t = points_of(m);
    vec plus[WINOGRAD_MOST_PAIRS], minus[WINOGRAD_MOST_PAIRS];
    UNROLL
    for (int i = 0; i < m / 2; i++) {
        vec a = sums[(1 + 2 * i) * step], b = sums[(2 + 2 * i) * step];
        plus[i] = a + b;
        minus[i] = t->p[i] * (a - b);
    }
    UNROLL
    for (int j = 0; j < m; j++) {
        vec y = j == 0 ? sums[0] : vec_zero();
        if (j == m - 1)
            y = sums[(m + 1) * step];
        UNROLL
        for (int i = 0; i < m / 2; i++) {
            y += j % 2 ? minus[i] : plus[i];
            /* the next power of p_i^2 */
            if (j % 2)
                minus[i] *= t->p[i] * t->p[i];
            else
                plus[i] *= t->p[i] * t->p[i];
        }
        out[j * out_step] = y;
    }
}

#endif
