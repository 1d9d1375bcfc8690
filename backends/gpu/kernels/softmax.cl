/*
 * softmax of rows: y[i] = exp(x[i] - m) / sum over j of exp(x[j] - m), m the row's largest number.
 *
 * A team of 2^log_lanes work-items a row, GROUP of them a group. Local memory: 4 GROUP bytes. A row is
 * read three times; after the first it is in a cache. y may be x: a number is written by the
 * work-item that reads it.
 */
#include "backends/gpu/kernels/softmax.h"

KERNEL(softmax)(IN_PLACE(x), OUTPUT(y), gpu_softmax_arguments a) {
    LOCAL float scratch[GROUP];
    LOCATE(x);
    LOCATE(y);
    gpu_team team = team_of_neighbours(a.log_lanes);
    gpu_uint row = (GROUP_ID(0) * GROUP + LOCAL_ID) >> a.log_lanes;
    gpu_uint n = row < a.n_rows ? a.n : 0, start = row * a.n;
    float largest = -INFINITY, sum = 0.0f;
    for (gpu_uint i = team.lane; i < n; i += team.lanes)
        largest = f_max(largest, load(x, a.x_type, start + i));
    largest = team_max(team, scratch, largest);
    for (gpu_uint i = team.lane; i < n; i += team.lanes)
        sum += f_exp(load(x, a.x_type, start + i) - largest);
    sum = team_sum(team, scratch, sum);
    for (gpu_uint i = team.lane; i < n; i += team.lanes)
        store(y, a.y_type, start + i, f_exp(load(x, a.x_type, start + i) - largest) / sum);
}
