/*
 * Normalisations: y = activation((x - mean) / sqrt(variance + epsilon) scale + shift). The variance is
 * that around the mean, by blocks which are joined, so that a large mean costs no digits.
 *
 * Each reads x twice: for the moments, then to write y, which may be x. Where there is no scale or no
 * shift, that buffer is not looked at.
 */
#include "backends/gpu/kernels/norm.h"

/* z normalised, of channel c */
FUNCTION float finished(GLOBAL const gpu_byte *scale, GLOBAL const gpu_byte *shift,
                        gpu_norm_finish f, gpu_uint c, float z) {
    if (f.has_scale)
        z *= load(scale, f.scale_type, c);
    if (f.has_shift)
        z += load(shift, f.shift_type, c);
    return activate(f.activation, z);
}

/* ---- rows: a team of 2^log_lanes work-items each ---- */

/* Local memory: 12 GROUP bytes. */
KERNEL(layer_norm)(IN_PLACE(x), INPUT(scale), INPUT(shift), OUTPUT(y), gpu_norm_rows_arguments a) {
    LOCAL float scratch[3 * GROUP];
    LOCATE(x);
    LOCATE(scale);
    LOCATE(shift);
    LOCATE(y);
    gpu_team team = team_of_neighbours(a.log_lanes);
    gpu_uint row = (GROUP_ID(0) * GROUP + LOCAL_ID) >> a.log_lanes;
    gpu_uint n = row < a.n_rows ? a.n : 0, start = row * a.n;
    gpu_moments m = {0.0f, 0.0f, 0.0f};
    float block[MOMENTS_BLOCK];
    for (gpu_uint i = team.lane; i < n; i += MOMENTS_BLOCK * team.lanes) {
        gpu_uint filled = 0;
#pragma unroll
        for (gpu_uint k = 0; k < MOMENTS_BLOCK; k++)
            if (i + k * team.lanes < n) {
                block[k] = load(x, a.finish.x_type, start + i + k * team.lanes);
                filled = k + 1;
            }
        m = moments_add(m, block, filled);
    }
    m = team_moments(team, scratch, m);
    float factor = 1.0f / f_sqrt(m.squares / m.n + a.finish.epsilon);
    for (gpu_uint i = team.lane; i < n; i += team.lanes) {
        float z = (load(x, a.finish.x_type, start + i) - m.mean) * factor;
        store(y, a.finish.y_type, start + i, finished(scale, shift, a.finish, i, z));
    }
}

/* No mean is taken off. Local memory: 4 GROUP bytes. */
KERNEL(rms_norm)(IN_PLACE(x), INPUT(scale), OUTPUT(y), gpu_norm_rows_arguments a) {
    LOCAL float scratch[GROUP];
    LOCATE(x);
    LOCATE(scale);
    LOCATE(y);
    gpu_team team = team_of_neighbours(a.log_lanes);
    gpu_uint row = (GROUP_ID(0) * GROUP + LOCAL_ID) >> a.log_lanes;
    gpu_uint n = row < a.n_rows ? a.n : 0, start = row * a.n;
    float squares = 0.0f;
    for (gpu_uint i = team.lane; i < n; i += team.lanes) {
        float value = load(x, a.finish.x_type, start + i);
        squares += value * value;
    }
    squares = team_sum(team, scratch, squares);
    float factor = 1.0f / f_sqrt(squares / (float)a.n + a.finish.epsilon);
    for (gpu_uint i = team.lane; i < n; i += team.lanes) {
        float z = load(x, a.finish.x_type, start + i) * factor;
        store(y, a.finish.y_type, start + i, finished(scale, scale, a.finish, i, z));
    }
}

/* ---- groups of channels ---- */

/*
 * The work-item's numbers of one sample's slice of positions and group of channels: every GROUP-th,
 * position by position. GROUP is divided by the width once, not for each number.
 */
typedef struct group_walk {
    gpu_uint i, n;             /* which number of the slice this one is, of how many */
    gpu_uint at, channel;      /* of this number: where it is in x, its channel in the group */
    gpu_uint first_channel;    /* of the group */
    gpu_uint step, step_width; /* what GROUP numbers on adds to both */
} group_walk;

FUNCTION group_walk walk_start(gpu_group_norm_arguments a, gpu_uint sample_and_group,
                               gpu_uint slice) {
    gpu_uint sample = sample_and_group / a.n_groups;
    gpu_uint group = sample_and_group - sample * a.n_groups, first = slice * a.slice;
    gpu_uint last = first + a.slice < a.n_positions ? first + a.slice : a.n_positions;
    gpu_uint position = LOCAL_ID / a.width, step = GROUP / a.width;
    group_walk walk;
    walk.i = LOCAL_ID;
    walk.n = (last - first) * a.width;
    walk.channel = LOCAL_ID - position * a.width;
    walk.first_channel = group * a.width;
    walk.at = (sample * a.n_positions + first + position) * a.n_channels + walk.first_channel +
              walk.channel;
    walk.step_width = GROUP - step * a.width;
    walk.step = step * a.n_channels + walk.step_width;
    return walk;
}

FUNCTION group_walk walk_on(gpu_group_norm_arguments a, group_walk walk) {
    walk.i += GROUP;
    walk.at += walk.step;
    walk.channel += walk.step_width;
    if (walk.channel >= a.width) {
        walk.channel -= a.width;
        walk.at += a.n_channels - a.width;
    }
    return walk;
}

/* Of the whole slice; scratch [3 GROUP]. */
FUNCTION gpu_moments slice_moments(GLOBAL const gpu_byte *x, gpu_group_norm_arguments a,
                                   group_walk walk, LOCAL_POINTER float *scratch) {
    gpu_moments m = {0.0f, 0.0f, 0.0f};
    float block[MOMENTS_BLOCK];
    while (walk.i < walk.n) {
        gpu_uint filled = 0;
#pragma unroll
        for (gpu_uint k = 0; k < MOMENTS_BLOCK; k++) {
            if (walk.i < walk.n) {
                block[k] = load(x, a.finish.x_type, walk.at);
                filled = k + 1;
            }
            walk = walk_on(a, walk);
        }
        m = moments_add(m, block, filled);
    }
    gpu_team team = {LOCAL_ID, GROUP, 1};
    return team_moments(team, scratch, m);
}

FUNCTION void normalize_slice(GLOBAL const gpu_byte *x, GLOBAL const gpu_byte *scale,
                              GLOBAL const gpu_byte *shift, GLOBAL gpu_byte *y,
                              gpu_group_norm_arguments a, group_walk walk, gpu_moments m) {
    float factor = 1.0f / f_sqrt(m.squares / m.n + a.finish.epsilon);
    for (; walk.i < walk.n; walk = walk_on(a, walk)) {
        float z = (load(x, a.finish.x_type, walk.at) - m.mean) * factor;
        store(y, a.finish.y_type, walk.at,
              finished(scale, shift, a.finish, walk.first_channel + walk.channel, z));
    }
}

/* A group of work-items for each sample and group of channels. Local memory: 12 GROUP bytes. */
KERNEL(group_norm)(IN_PLACE(x), INPUT(scale), INPUT(shift), OUTPUT(y), gpu_group_norm_arguments a) {
    LOCAL float scratch[3 * GROUP];
    LOCATE(x);
    LOCATE(scale);
    LOCATE(shift);
    LOCATE(y);
    group_walk walk = walk_start(a, GROUP_ID(0), 0);
    gpu_moments m = slice_moments(x, a, walk, scratch);
    normalize_slice(x, scale, shift, y, a, walk, m);
}

/*
 * The same in two launches with a group of work-items a slice, for maps so large that one for all of a
 * group of channels would leave most of a device idle. moments [N, n_groups, n_slices, 2]: mean and
 * squares of each slice. Local memory: 12 GROUP bytes.
 */
KERNEL(group_norm_moments)(INPUT(x), OUTPUT(moments), gpu_group_norm_arguments a) {
    LOCAL float scratch[3 * GROUP];
    LOCATE(x);
    LOCATE(moments);
    gpu_uint slice = GROUP_ID(1);
    gpu_moments m = slice_moments(x, a, walk_start(a, GROUP_ID(0), slice), scratch);
    if (LOCAL_ID == 0) {
        GLOBAL float *to = (GLOBAL float *)moments + 2 * (GROUP_ID(0) * a.n_slices + slice);
        to[0] = m.mean;
        to[1] = m.squares;
    }
}

KERNEL(group_norm_apply)(IN_PLACE(x), INPUT(scale), INPUT(shift), INPUT(moments), OUTPUT(y),
                         gpu_group_norm_arguments a) {
    LOCAL float scratch[3 * GROUP];
    LOCATE(x);
    LOCATE(scale);
    LOCATE(shift);
    LOCATE(moments);
    LOCATE(y);
    GLOBAL const float *from = (GLOBAL const float *)moments + 2 * GROUP_ID(0) * a.n_slices;
    gpu_moments m = {0.0f, 0.0f, 0.0f};
    for (gpu_uint i = LOCAL_ID; i < a.n_slices; i += GROUP) {
        gpu_uint left = a.n_positions - i * a.slice;
        gpu_moments slice = {(float)((left < a.slice ? left : a.slice) * a.width), from[2 * i],
                             from[2 * i + 1]};
        m = moments_join(m, slice);
    }
    gpu_team team = {LOCAL_ID, GROUP, 1};
    m = team_moments(team, scratch, m);
    normalize_slice(x, scale, shift, y, a, walk_start(a, GROUP_ID(0), GROUP_ID(1)), m);
}
