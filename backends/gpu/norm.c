/*
 * layer_norm, rms_norm and group_norm, each with its scale, shift and activation.
 */
#include "backends/gpu/kernels/norm.h"
#include "backends/gpu/rows.h"

static gpu_norm_finish finish_of(const sf_op_call *call) {
    const sf_norm_attributes *attributes = call->attributes;
    const sf_tensor_desc *scale = ref_input(call, 1), *shift = ref_input(call, 2);
    return (gpu_norm_finish){
        .x_type = gpu_type_of(ref_input(call, 0)),
        .y_type = gpu_type_of(call->output),
        .has_scale = ref_is_present(scale),
        .scale_type = gpu_type_of(scale),
        .has_shift = ref_is_present(shift),
        .shift_type = gpu_type_of(shift),
        .activation = attributes->activation,
        .epsilon = attributes->epsilon,
    };
}

/* Input i, or x where it is absent: a buffer that is there, and is not looked at. */
static gpu_place place_or_x(const sf_op_call *call, uint32_t i) {
    const sf_tensor_desc *input = ref_input(call, i);
    return gpu_place_of(ref_is_present(input) ? input : ref_input(call, 0));
}

/* ---- rows ---- */

static gpu_norm_rows_arguments rows_of(const gpu_backend *backend, const sf_op_call *call) {
    uint32_t n_rows = (uint32_t)ref_rows(call->output), n = (uint32_t)ref_columns(call->output);
    return (gpu_norm_rows_arguments){
        .finish = finish_of(call),
        .n_rows = n_rows,
        .n = n,
        .log_lanes = gpu_log_lanes(backend, n_rows, n),
    };
}

static sf_status run_layer_norm(void *backend, const sf_op_call *call) {
    gpu_norm_rows_arguments a = rows_of(backend, call);
    const gpu_place places[] = {gpu_place_of(ref_input(call, 0)), place_or_x(call, 1),
                                place_or_x(call, 2), gpu_place_of(call->output)};
    return gpu_run(backend, GPU_KERNEL_layer_norm,
                   gpu_groups_for_rows(backend, a.n_rows, a.log_lanes), &a, sizeof a, 4, places);
}

const sf_op_entry gpu_layer_norm = {
    GPU_ENTRY("layer_norm"),
    .supports = gpu_supports_plain_floats,
    .run = run_layer_norm,
    .in_place = SF_IN_PLACE(0),
};

static sf_status run_rms_norm(void *backend, const sf_op_call *call) {
    gpu_norm_rows_arguments a = rows_of(backend, call);
    const gpu_place places[] = {gpu_place_of(ref_input(call, 0)), place_or_x(call, 1),
                                gpu_place_of(call->output)};
    return gpu_run(backend, GPU_KERNEL_rms_norm,
                   gpu_groups_for_rows(backend, a.n_rows, a.log_lanes), &a, sizeof a, 3, places);
}

const sf_op_entry gpu_rms_norm = {
    GPU_ENTRY("rms_norm"),
    .supports = gpu_supports_plain_floats,
    .run = run_rms_norm,
    .in_place = SF_IN_PLACE(0),
};

/* ---- groups of channels ---- */

/*
 * Numbers of a sample's group of channels up to which one launch does: there are 32 groups in most
 * models, enough for a small GPU, and a launch is worth some time of a large one. Beyond, slices are
 * of about SLICE_NUMBERS.
 */
#define ONE_LAUNCH_NUMBERS 65536
#define SLICE_NUMBERS      16384
#define MOST_SLICES        1024

static gpu_group_norm_arguments groups_of(const sf_op_call *call) {
    const sf_norm_attributes *attributes = call->attributes;
    int64_t n_samples = call->output->dims[0], n_channels = ref_columns(call->output);
    int64_t n_positions = n_samples ? ref_rows(call->output) / n_samples : 0;
    int64_t width = n_channels / attributes->groups, n_slices = 1, slice = n_positions;
    if (n_positions * width > ONE_LAUNCH_NUMBERS) {
        n_slices = n_positions * width / SLICE_NUMBERS;
        n_slices = n_slices < MOST_SLICES ? n_slices : MOST_SLICES;
        slice = (n_positions + n_slices - 1) / n_slices;
        n_slices = (n_positions + slice - 1) / slice; /* none is empty */
    }
    return (gpu_group_norm_arguments){
        .finish = finish_of(call),
        .n_positions = (uint32_t)n_positions,
        .n_channels = (uint32_t)n_channels,
        .n_groups = (uint32_t)attributes->groups,
        .width = (uint32_t)width,
        .slice = (uint32_t)slice,
        .n_slices = (uint32_t)n_slices,
    };
}

static uint64_t workspace_group_norm(const sf_op_call *call) {
    gpu_group_norm_arguments a = groups_of(call);
    uint64_t n_moments = (uint64_t)call->output->dims[0] * a.n_groups * a.n_slices;
    return a.n_slices > 1 ? n_moments * 2 * sizeof(float) : 0;
}

static sf_status run_slices(gpu_backend *backend, const sf_op_call *call,
                            const gpu_group_norm_arguments *a) {
    gpu_place x = gpu_place_of(ref_input(call, 0)), moments = gpu_workspace(call);
    const gpu_place places[] = {x, place_or_x(call, 1), place_or_x(call, 2), moments,
                                gpu_place_of(call->output)};
    gpu_grid grid = {{(uint32_t)call->output->dims[0] * a->n_groups, a->n_slices, 1}};
    sf_status status = gpu_run(backend, GPU_KERNEL_group_norm_moments, grid, a, sizeof *a, 2,
                               (const gpu_place[]){x, moments});
    if (status != SF_OK)
        return status;
    gpu_count_bytes(backend, (uint64_t)ref_elements(call->output) *
                                     (uint64_t)ref_element_bytes(ref_input(call, 0)->dtype) +
                                 2 * workspace_group_norm(call));
    return gpu_run(backend, GPU_KERNEL_group_norm_apply, grid, a, sizeof *a, 5, places);
}

static sf_status run_group_norm(void *backend, const sf_op_call *call) {
    gpu_group_norm_arguments a = groups_of(call);
    if (a.n_slices > 1)
        return run_slices(backend, call, &a);
    const gpu_place places[] = {gpu_place_of(ref_input(call, 0)), place_or_x(call, 1),
                                place_or_x(call, 2), gpu_place_of(call->output)};
    gpu_grid grid = {{(uint32_t)call->output->dims[0] * a.n_groups, 1, 1}};
    return gpu_run(backend, GPU_KERNEL_group_norm, grid, &a, sizeof a, 4, places);
}

const sf_op_entry gpu_group_norm = {
    GPU_ENTRY("group_norm"),           .supports = gpu_supports_plain_floats,
    .workspace = workspace_group_norm, .run = run_group_norm,
    .in_place = SF_IN_PLACE(0),
};
