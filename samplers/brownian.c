/*
 * Brownian paths by halving: of an interval [a, c] with the increment W and the middle b,
 *
 *   W(a, b) = (b - a) / (c - a) W + sqrt((b - a) (c - b) / (c - a)) z     W(b, c) = W - W(a, b)
 *
 * Levy's construction. Each z has a seed of its own that follows from the path's and from the
 * interval's place in the tree, so that any part can be computed again; the last ones are kept.
 *
 * As torchsde 0.2.6's BrownianInterval with halfway_tree, tol 1e-6, pool_size 24 and no Levy area,
 * which is what diffusers' and k-diffusion's Brownian trees are: levels are rounded to millionths,
 * seeds are numpy's SeedSequence, and sums go from low to high.
 */
#include "samplers/brownian.h"

#include <math.h>

#include "core/memory.h"
#include "core/seed_sequence.h"

#define PER_UNIT    1e6 /* levels that are told apart */
#define MOST_LEVELS 56  /* of the tree: those of levels up to 1e10 */
#define POOL        24

typedef struct interval {
    double start, end;
    uint64_t place; /* among those of its depth, from 0 */
    int depth;
} interval;

/* The left half of an interval that was split. */
typedef struct half {
    uint64_t place;
    int depth;              /* of the interval; -1: nothing is kept here */
    uint64_t used;          /* when */
    sf_device_tensor *left; /* owned */
} half;

struct sf_brownian {
    sf_context *ctx; /* borrowed */
    interval whole;
    uint64_t seed;
    int n_levels;
    sf_device_tensor *increment;          /* of the whole, owned */
    sf_device_tensor *right[MOST_LEVELS]; /* the right half at a depth of the path down; owned */
    half kept[2 * MOST_LEVELS];           /* 2 n_levels: those on the ways to two levels */
    uint64_t clock;
};

/* To millionths, ties to even, of the exact decimal value, as Python's round(x, 6). */
static double rounded(double x) {
    double product = x * PER_UNIT, rest = fma(x, PER_UNIT, -product), low = floor(product);
    if (fabs(product) >= 0x1p52)
        return x;
    double above = (product - low - 0.5) + rest;
    bool up = above > 0 || (above == 0 && fmod(low, 2) != 0);
    return (up ? low + 1 : low) / PER_UNIT;
}

/* ---- making ---- */

/* Halvings from low..high to a millionth, and one for rounding. */
static int count_levels(double low, double high) {
    double n_parts = (high - low) * PER_UNIT;
    int n_levels = (n_parts > 1 ? (int)ceil(log2(n_parts)) : 0) + 1;
    return n_levels < MOST_LEVELS ? n_levels : MOST_LEVELS;
}

int sf_brownian_n_tensors(double low, double high) {
    return 1 + 3 * count_levels(low, high);
}

void sf_brownian_free(sf_brownian *path) {
    if (!path)
        return;
    sf_device_tensor_free(path->increment);
    for (int i = 0; i < MOST_LEVELS; i++)
        sf_device_tensor_free(path->right[i]);
    for (int i = 0; i < 2 * MOST_LEVELS; i++)
        sf_device_tensor_free(path->kept[i].left);
    sf_free(path->ctx, path);
}

static sf_status make_tensors(sf_brownian *path, const sf_device_tensor *sample) {
    SF_TRY(sf_device_tensor_new(sample->backend, &sample->spec, &path->increment));
    for (int i = 0; i < path->n_levels; i++)
        SF_TRY(sf_device_tensor_new(sample->backend, &sample->spec, &path->right[i]));
    for (int i = 0; i < 2 * path->n_levels; i++) {
        path->kept[i].depth = -1;
        SF_TRY(sf_device_tensor_new(sample->backend, &sample->spec, &path->kept[i].left));
    }
    return SF_OK;
}

static sf_status draw_seeded(const sf_sampler *sampler, uint64_t seed, sf_device_tensor *out) {
    return sampler->source.draw_seeded(sampler->source.user, seed, out);
}

static sf_status fill(sf_sampler *sampler, sf_brownian *path, double length) {
    uint32_t seed;
    SF_TRY(make_tensors(path, sampler->work[SF_WORK_SAMPLE]));
    sf_seed_sequence(path->seed, NULL, 0, POOL, &seed, 1);
    SF_TRY(draw_seeded(sampler, seed, path->increment));
    return sf_sampler_scale(sampler, path->increment, (float)sqrt(length), path->increment);
}

sf_status sf_brownian_new(sf_sampler *sampler, double low, double high, uint64_t seed,
                          sf_brownian **path) {
    if (!(low <= high) || !isfinite(high))
        SF_FAIL(sampler->ctx, ERROR_NUMERIC, "no Brownian path between noise levels %g and %g", low,
                high);
    sf_brownian *made = SF_NEW(sampler->ctx, sf_brownian);
    if (!made)
        return SF_ERROR_MEMORY;
    *made = (sf_brownian){
        .ctx = sampler->ctx,
        .whole = {.start = rounded(low), .end = rounded(high)},
        .seed = seed,
        .n_levels = count_levels(low, high),
    };
    sf_status status = fill(sampler, made, high - low);
    if (status == SF_OK)
        *path = made;
    else
        sf_brownian_free(made);
    return status;
}

/* ---- halving ---- */

static void split(const interval *at, interval *left, interval *right) {
    double middle = rounded(0.5 * (at->end + at->start));
    *left = (interval){at->start, middle, 2 * at->place, at->depth + 1};
    *right = (interval){middle, at->end, 2 * at->place + 1, at->depth + 1};
}

/* Where the interval's left half is kept, or else the one that was used longest ago. */
static half *find_half(sf_brownian *path, const interval *at) {
    half *oldest = &path->kept[0];
    for (int i = 0; i < 2 * path->n_levels; i++) {
        half *kept = &path->kept[i];
        if (kept->depth == at->depth && kept->place == at->place)
            return kept;
        oldest = kept->used < oldest->used ? kept : oldest;
    }
    return oldest;
}

/*
 * The left half's increment of an interval that has w; borrowed until the draw is over, since one draw
 * looks at no more than 2 n_levels intervals.
 */
static sf_status left_increment(sf_sampler *sampler, sf_brownian *path, const interval *at,
                                double middle, const sf_device_tensor *w,
                                const sf_device_tensor **increment) {
    const uint64_t keys[] = {at->place, (uint64_t)at->depth};
    half *kept = find_half(path, at);
    sf_device_tensor *left = kept->left, *noise = sampler->work[SF_WORK_PRODUCT];
    double before = middle - at->start, after = at->end - middle, per = 1 / (at->end - at->start);
    uint32_t seed;
    kept->used = ++path->clock;
    *increment = left;
    if (kept->depth == at->depth && kept->place == at->place)
        return SF_OK;
    kept->depth = -1;
    sf_seed_sequence(path->seed, keys, 2, POOL, &seed, 1);
    SF_TRY(draw_seeded(sampler, seed, noise));
    SF_TRY(sf_sampler_scale(sampler, left, (float)before, w));
    SF_TRY(sf_sampler_scale(sampler, left, (float)per, left));
    SF_TRY(sf_sampler_add_scaled(sampler, left, left, (float)sqrt(before * after * per), noise));
    kept->depth = at->depth;
    kept->place = at->place;
    return SF_OK;
}

/* Adds the path's increment over [from, to], a part of an interval that has w, to out. */
static sf_status add_increments(sf_sampler *sampler, sf_brownian *path, const interval *at,
                                const sf_device_tensor *w, double from, double to,
                                sf_device_tensor *out) {
    const sf_device_tensor *before;
    interval left, right;
    if (from == at->start && to == at->end)
        return sf_sampler_add_scaled(sampler, out, out, 1, w);
    if (at->depth >= path->n_levels)
        SF_FAIL(sampler->ctx, ERROR_INTERNAL, "the Brownian path has no levels %.9g and %.9g", from,
                to);
    split(at, &left, &right);
    SF_TRY(left_increment(sampler, path, at, left.end, w, &before));
    if (from < left.end)
        SF_TRY(add_increments(sampler, path, &left, before, from, fmin(to, left.end), out));
    if (to <= left.end)
        return SF_OK;
    sf_device_tensor *after = path->right[at->depth];
    SF_TRY(sf_sampler_add_scaled(sampler, after, w, -1, before));
    return add_increments(sampler, path, &right, after, fmax(from, right.start), to, out);
}

/* A level of the path: within it, and rounded. */
static double level_of(const sf_brownian *path, float level) {
    return rounded(fmin(fmax((double)level, path->whole.start), path->whole.end));
}

sf_status sf_brownian_draw(sf_sampler *sampler, sf_brownian *path, float from, float to,
                           sf_device_tensor *out) {
    double low = level_of(path, fminf(from, to)), high = level_of(path, fmaxf(from, to));
    float length = fabsf(to - from);
    SF_TRY(sf_sampler_scale(sampler, out, 0, path->increment));
    if (!(low < high))
        return SF_OK;
    SF_TRY(add_increments(sampler, path, &path->whole, path->increment, low, high, out));
    SF_TRY(sf_sampler_scale(sampler, out, to < from ? -1 : 1, out));
    return sf_sampler_divide(sampler, out, out, sqrtf(length));
}
