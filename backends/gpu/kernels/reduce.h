/*
 * Sums, maxima and moments over teams: the work-items of a group that reduce one row together. A group
 * has GROUP / lanes teams; `lanes` is a power of two, the same for all. Every work-item of the group
 * must make each call, and all of a team get its result, which is the same for the same lanes.
 */
#ifndef SF_BACKENDS_GPU_REDUCE_H
#define SF_BACKENDS_GPU_REDUCE_H

#include "backends/gpu/kernels/dialect.h"

#if defined(__OPENCL_VERSION__) || defined(__CUDACC__)

/* This work-item's place in its team, and how far apart in the group neighbours are. */
typedef struct gpu_team {
    gpu_uint lane, lanes, step;
} gpu_team;

/* Teams of neighbours: work-item 0 to lanes - 1 are the first team. */
FUNCTION gpu_team team_of_neighbours(gpu_uint log_lanes) {
    gpu_uint lanes = 1u << log_lanes;
    gpu_team team = {LOCAL_ID & (lanes - 1), lanes, 1};
    return team;
}

/* Neighbours are in different teams, of which there are GROUP / lanes. */
FUNCTION gpu_team team_across(gpu_uint log_lanes) {
    gpu_uint n_teams = GROUP >> log_lanes;
    gpu_team team = {LOCAL_ID / n_teams, 1u << log_lanes, n_teams};
    return team;
}

/* scratch [GROUP]; what was in it is no longer needed by any work-item once all are here. */
FUNCTION float team_sum(gpu_team team, LOCAL_POINTER float *scratch, float value) {
    BARRIER();
    scratch[LOCAL_ID] = value;
    for (gpu_uint reach = team.lanes / 2; reach > 0; reach /= 2) {
        BARRIER();
        if (team.lane < reach)
            scratch[LOCAL_ID] += scratch[LOCAL_ID + reach * team.step];
    }
    BARRIER();
    return scratch[LOCAL_ID - team.lane * team.step];
}

/* NaN is passed over. */
FUNCTION float team_max(gpu_team team, LOCAL_POINTER float *scratch, float value) {
    BARRIER();
    scratch[LOCAL_ID] = value;
    for (gpu_uint reach = team.lanes / 2; reach > 0; reach /= 2) {
        BARRIER();
        if (team.lane < reach)
            scratch[LOCAL_ID] = f_max(scratch[LOCAL_ID], scratch[LOCAL_ID + reach * team.step]);
    }
    BARRIER();
    return scratch[LOCAL_ID - team.lane * team.step];
}

/* ---- moments ---- */

/* Of n numbers: their mean, and the sum of the squares of what they differ from it. */
typedef struct gpu_moments {
    float n, mean, squares;
} gpu_moments;

/* Of two sets of numbers together (Chan, Golub and LeVeque 1979, eq. 2.1). */
FUNCTION gpu_moments moments_join(gpu_moments a, gpu_moments b) {
    if (b.n == 0.0f)
        return a;
    float n = a.n + b.n, share = b.n / n, apart = b.mean - a.mean;
    gpu_moments joined = {n, a.mean + apart * share,
                          a.squares + b.squares + apart * apart * a.n * share};
    return joined;
}

#define MOMENTS_BLOCK 8

/* With the first n of a block of numbers besides, n at least 1. */
FUNCTION gpu_moments moments_add(gpu_moments a, const float *block, gpu_uint n) {
    gpu_moments b = {(float)n, 0.0f, 0.0f};
#pragma unroll
    for (gpu_uint i = 0; i < MOMENTS_BLOCK; i++)
        b.mean += i < n ? block[i] : 0.0f;
    b.mean /= b.n;
#pragma unroll
    for (gpu_uint i = 0; i < MOMENTS_BLOCK; i++) {
        float apart = i < n ? block[i] - b.mean : 0.0f;
        b.squares += apart * apart;
    }
    return moments_join(a, b);
}

/* scratch [3 GROUP] */
FUNCTION gpu_moments team_moments(gpu_team team, LOCAL_POINTER float *scratch, gpu_moments own) {
    LOCAL_POINTER float *mine = scratch + LOCAL_ID;
    BARRIER();
    mine[0] = own.n;
    mine[GROUP] = own.mean;
    mine[2 * GROUP] = own.squares;
    for (gpu_uint reach = team.lanes / 2; reach > 0; reach /= 2) {
        BARRIER();
        if (team.lane < reach) {
            LOCAL_POINTER const float *other = mine + reach * team.step;
            gpu_moments b = {other[0], other[GROUP], other[2 * GROUP]};
            own = moments_join(own, b);
            mine[0] = own.n;
            mine[GROUP] = own.mean;
            mine[2 * GROUP] = own.squares;
        }
    }
    BARRIER();
    mine -= team.lane * team.step;
    gpu_moments all = {mine[0], mine[GROUP], mine[2 * GROUP]};
    return all;
}

#endif
#endif
