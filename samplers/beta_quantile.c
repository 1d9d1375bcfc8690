/*
 * Quantiles of the beta distribution with both parameters 0.6, to some 1e-14: what the beta sigma
 * schedule is spread by. The distribution is symmetric, so x <= 1/2 is all that is computed.
 */
#include <math.h>

#include "samplers/schedule.h"

#define SHAPE 0.6

/*
 * I_x(a, a) = x^a / (a B(a, a)) 2F1(a, 1 - a; a + 1; x): Abramowitz and Stegun 6.6.8. The series'
 * terms fall at least as fast as 2^-n for x <= 1/2.
 */
static double distribution(double x, double beta_function) {
    double sum = 0, term = 1;
    for (int n = 0; n < 64; n++) {
        sum += term * SHAPE / (SHAPE + n);
        term *= (1 - SHAPE + n) / (n + 1) * x;
    }
    return pow(x, SHAPE) / (SHAPE * beta_function) * sum;
}

static double lower_quantile(double p) {
    double beta_function = tgamma(SHAPE) * tgamma(SHAPE) / tgamma(2 * SHAPE);
    double x = pow(p * SHAPE * beta_function, 1 / SHAPE); /* the series' first term */
    for (int i = 0; i < 20 && x > 0; i++) {
        double density = pow(x * (1 - x), SHAPE - 1) / beta_function;
        x -= (distribution(x, beta_function) - p) / density;
        x = x > 0.5 ? 0.5 : x;
    }
    return x;
}

double sf_beta_quantile(double p) {
    return p <= 0.5 ? lower_quantile(p) : 1 - lower_quantile(1 - p);
}
