/*
 * Sums over an axis, and the count of what is no finite number.
 */
#include "backends/gpu/kernels/sums.h"

/*
 * x [outer, n, inner] -> y [outer, inner]: a team of 2^log_lanes work-items for each sum. Neighbours
 * read neighbouring numbers: of a row where inner is 1, of different sums else. Local memory:
 * 4 GROUP bytes.
 */
KERNEL(sum_axis)(INPUT(x), OUTPUT(y), gpu_sum_axis_arguments a) {
    LOCAL float scratch[GROUP];
    LOCATE(x);
    LOCATE(y);
    gpu_uint n_teams = GROUP >> a.log_lanes;
    gpu_team team = a.inner == 1 ? team_of_neighbours(a.log_lanes) : team_across(a.log_lanes);
    gpu_uint i = GROUP_ID(0) * n_teams +
                 (a.inner == 1 ? LOCAL_ID >> a.log_lanes : LOCAL_ID & (n_teams - 1));
    gpu_uint n = i < a.n_sums ? a.n : 0, outer = i / a.inner;
    gpu_uint start = outer * a.n * a.inner + (i - outer * a.inner);
    float sum = 0.0f;
    for (gpu_uint k = team.lane; k < n; k += team.lanes)
        sum += load(x, a.x_type, start + k * a.inner);
    sum = team_sum(team, scratch, sum);
    if (i < a.n_sums && team.lane == 0)
        store(y, a.y_type, i, sum / a.divisor);
}

/* One group counts all, so that no other launch has to add up. y [1], i32. Local memory: 4 GROUP bytes. */
KERNEL(count_nonfinite)(INPUT(x), OUTPUT(y), gpu_count_nonfinite_arguments a) {
    LOCAL gpu_uint counts[GROUP];
    LOCATE(x);
    LOCATE(y);
    gpu_uint count = 0;
    for (gpu_uint i = LOCAL_ID; i < a.n; i += GROUP)
        count += (f_bits(load(x, a.x_type, i)) & 0x7f800000u) == 0x7f800000u;
    counts[LOCAL_ID] = count;
    for (gpu_uint reach = GROUP / 2; reach > 0; reach /= 2) {
        BARRIER();
        if (LOCAL_ID < reach)
            counts[LOCAL_ID] += counts[LOCAL_ID + reach];
    }
    if (LOCAL_ID == 0)
        *(GLOBAL gpu_int *)y = (gpu_int)counts[0];
}
