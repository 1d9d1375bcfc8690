#include "tests/support/random_graph.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/eager.h"
#include "tests/support/support.h"

#define MOST_VALUES   64
#define MOST_ELEMENTS 400

/* ---- random numbers ---- */

uint64_t random_bits(test_random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t random_below(test_random *random, int64_t limit) {
    return (int64_t)(random_bits(random) % (uint64_t)limit);
}

void random_floats(test_random *random, float *data, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)random_below(random, 40001) / 10000.f - 2;
}

/* ---- drawing a graph ---- */

typedef struct drawing {
    sf_graph *graph;
    test_random random;
    sf_value values[MOST_VALUES];
    int n_values;
} drawing;

static int64_t below(drawing *d, int64_t limit) {
    return random_below(&d->random, limit);
}

static sf_spec spec_of(const drawing *d, sf_value value) {
    return *sf_value_spec(d->graph, value);
}

static sf_value constant(drawing *d, int n_dims, const int64_t *dims) {
    float data[4096];
    int64_t count = 1;
    for (int axis = 0; axis < n_dims; axis++)
        count *= dims[axis];
    ck_assert_int_le(count, 4096);
    random_floats(&d->random, data, count);
    char name[16];
    snprintf(name, sizeof name, "c%zu", d->graph->n_nodes);
    return sf_constant_f32(d->graph, name, n_dims, dims, data);
}

static sf_value draw_input(drawing *d, int number) {
    static const int64_t channels[] = {1, 2, 4, 6, 8};
    char name[16];
    int64_t dims[SF_MAX_DIMS];
    int n_dims = (int)below(d, 5);
    for (int axis = 0; axis < n_dims; axis++)
        dims[axis] = axis == n_dims - 1 ? channels[below(d, 5)] : 1 + below(d, axis ? 6 : 2);
    snprintf(name, sizeof name, "in%d", number);
    return sf_input(d->graph, name, SF_F32, n_dims, dims);
}

/* Each draws one op on x; SF_NO_VALUE where x has not the shape for it. */

static sf_value draw_unary(drawing *d, sf_value x) {
    static const sf_op_id ops[] = {SF_OP_silu, SF_OP_gelu, SF_OP_gelu_tanh, SF_OP_quick_gelu,
                                   SF_OP_relu, SF_OP_mish, SF_OP_sigmoid,   SF_OP_tanh,
                                   SF_OP_sin,  SF_OP_cos};
    return sf_unary(d->graph, ops[below(d, sizeof ops / sizeof *ops)], x);
}

static sf_value draw_affine(drawing *d, sf_value x) {
    return sf_affine(d->graph, x, (float)below(d, 5) / 4 - 0.5f, (float)below(d, 3) - 1);
}

static sf_value draw_clamp(drawing *d, sf_value x) {
    return sf_clamp(d->graph, x, -0.5f - (float)below(d, 3), 0.5f + (float)below(d, 3));
}

/* With another value of the shape, or a weight that is broadcast. */
static sf_value draw_binary(drawing *d, sf_value x) {
    sf_value other = d->values[below(d, d->n_values)];
    sf_spec spec = spec_of(d, x), other_spec = spec_of(d, other);
    if (!sf_spec_equal(&spec, &other_spec)) {
        int skip = (int)below(d, spec.n_dims + 1);
        for (int axis = 0; axis < spec.n_dims; axis++)
            if (below(d, 3) == 0)
                spec.dims[axis] = 1;
        other = constant(d, spec.n_dims - skip, spec.dims + skip);
    }
    sf_value a = x, b = other;
    if (below(d, 2)) {
        a = other;
        b = x;
    }
    switch (below(d, 3)) {
    case 0:
        return sf_add(d->graph, a, b);
    case 1:
        return sf_subtract(d->graph, a, b);
    default:
        return sf_affine(d->graph, sf_multiply(d->graph, a, b), 0.25f, 0);
    }
}

static sf_value activate(drawing *d, sf_value x) {
    static const sf_activation some[] = {SF_ACTIVATION_NONE, SF_ACTIVATION_SILU, SF_ACTIVATION_GELU,
                                         SF_ACTIVATION_RELU};
    return sf_activate(d->graph, x, some[below(d, 4)]);
}

/* y plus a value of its shape, or not: what fusion is after. */
static sf_value add_something(drawing *d, sf_value y) {
    sf_spec spec = spec_of(d, y);
    for (int i = 0; i < d->n_values; i++) {
        sf_spec other = spec_of(d, d->values[i]);
        if (sf_spec_equal(&other, &spec) && below(d, 2))
            return below(d, 2) ? sf_add(d->graph, y, d->values[i])
                               : sf_add(d->graph, d->values[i], y);
    }
    return below(d, 3) ? y : sf_add(d->graph, y, constant(d, spec.n_dims, spec.dims));
}

static sf_value draw_linear(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims < 1)
        return SF_NO_VALUE;
    int64_t n = 1 + below(d, 8);
    if (below(d, 2))
        n = spec.dims[spec.n_dims - 1]; /* so that x can be the residual */
    sf_value weight = constant(d, SF_DIMS(n, spec.dims[spec.n_dims - 1]));
    sf_value bias = below(d, 2) ? constant(d, SF_DIMS(n)) : SF_NO_VALUE;
    sf_value y = sf_linear(d->graph, sf_affine(d->graph, x, 0.25f, 0), weight, bias);
    return add_something(d, activate(d, y));
}

static sf_value draw_conv2d(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims != 4)
        return SF_NO_VALUE;
    int32_t size = below(d, 2) ? 3 : 1, padding = size / 2;
    int32_t groups = spec.dims[3] % 2 == 0 && below(d, 3) == 0 ? 2 : 1;
    int64_t n = below(d, 2) ? spec.dims[3] : 2 * (1 + below(d, 3));
    sf_value weight = constant(d, SF_DIMS(n, spec.dims[3] / groups, size, size));
    sf_value bias = below(d, 2) ? constant(d, SF_DIMS(n)) : SF_NO_VALUE;
    sf_conv2d_attributes attributes = {.stride = {1, 1},
                                       .dilation = {1, 1},
                                       .padding = {padding, padding, padding, padding},
                                       .groups = groups};
    if (n % groups)
        return SF_NO_VALUE;
    sf_value y = sf_conv2d(d->graph, sf_affine(d->graph, x, 0.1f, 0), weight, bias, attributes);
    return add_something(d, activate(d, y));
}

static sf_value draw_norm(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims < 2 || spec.dims[spec.n_dims - 1] < 2)
        return SF_NO_VALUE;
    int64_t channels = spec.dims[spec.n_dims - 1];
    sf_value scale = constant(d, SF_DIMS(channels));
    sf_value shift = below(d, 2) ? constant(d, SF_DIMS(channels)) : SF_NO_VALUE;
    int which = (int)below(d, 4);
    if (which == 0)
        return sf_layer_norm(d->graph, x, scale, shift, 0.01f);
    if (which == 1)
        return sf_rms_norm(d->graph, x, scale, 0.01f);
    int groups = channels % 2 == 0 ? (int)channels / 2 : 1;
    return activate(d, sf_group_norm(d->graph, x, scale, shift, groups, 0.01f));
}

static sf_value draw_softmax(drawing *d, sf_value x) {
    return spec_of(d, x).n_dims ? sf_softmax(d->graph, x) : SF_NO_VALUE;
}

static sf_value draw_attention(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims != 3)
        return SF_NO_VALUE;
    int heads = spec.dims[2] % 2 == 0 ? 2 : 1;
    sf_attention_attributes attributes = {
        .n_heads = heads, .causal = (int32_t)below(d, 2), .scale = 0.3f};
    return sf_attention(d->graph, x, draw_affine(d, x), x, SF_NO_VALUE, attributes);
}

static sf_value draw_matmul(drawing *d, sf_value x) {
    if (spec_of(d, x).n_dims < 2)
        return SF_NO_VALUE;
    return sf_clamp(d->graph, sf_matmul(d->graph, x, x, true, 0.25f), -3, 3);
}

static sf_value draw_reduction(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims == 0)
        return SF_NO_VALUE;
    int axis = (int)below(d, spec.n_dims);
    return below(d, 2) ? sf_mean(d->graph, x, axis)
                       : sf_clamp(d->graph, sf_sum(d->graph, x, axis), -3, 3);
}

static sf_value draw_concat(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims == 0)
        return SF_NO_VALUE;
    sf_value parts[3] = {x, draw_affine(d, x), x};
    return sf_concat(d->graph, parts, 1 + (int)below(d, 3), (int)below(d, spec.n_dims));
}

static sf_value draw_geglu(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims == 0 || spec.dims[spec.n_dims - 1] % 2)
        return SF_NO_VALUE;
    return sf_clamp(d->graph, sf_geglu(d->graph, x), -3, 3);
}

static sf_value draw_picture(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims != 4)
        return SF_NO_VALUE;
    if (below(d, 2) && spec.dims[1] > 1 && spec.dims[2] > 1) {
        sf_pool2d_attributes attributes = {.kernel = {2, 2}, .stride = {2, 2}};
        return sf_avg_pool2d(d->graph, x, attributes);
    }
    return sf_resize(d->graph, x, 1 + (int)below(d, 7), 1 + (int)below(d, 7),
                     (sf_resize_mode)below(d, 2));
}

static sf_value draw_combination(drawing *d, sf_value x) {
    sf_value coefficients = sf_affine(d->graph, constant(d, SF_DIMS(3)), 0.25f, 0);
    sf_value parts[] = {x, draw_affine(d, x), x};
    return sf_linear_combination(d->graph, coefficients, parts, 3);
}

/* Through a half type and back: memory of another element size. */
static sf_value draw_half(drawing *d, sf_value x) {
    sf_value half = sf_cast(d->graph, x, below(d, 2) ? SF_F16 : SF_BF16);
    return sf_cast(d->graph, below(d, 2) ? half : draw_affine(d, half), SF_F32);
}

static sf_value draw_copy(drawing *d, sf_value x) {
    return sf_copy(d->graph, x);
}

/* ---- views ---- */

static sf_value draw_permute(drawing *d, sf_value x) {
    int n_dims = spec_of(d, x).n_dims, order[SF_MAX_DIMS] = {0, 1, 2, 3, 4};
    for (int i = n_dims - 1; i > 0; i--) {
        int k = (int)below(d, i + 1), kept = order[i];
        order[i] = order[k];
        order[k] = kept;
    }
    return sf_permute(d->graph, x, order);
}

static sf_value draw_slice(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    if (spec.n_dims == 0)
        return SF_NO_VALUE;
    int axis = (int)below(d, spec.n_dims);
    int64_t start = below(d, spec.dims[axis]), count = 1 + below(d, spec.dims[axis] - start);
    return sf_slice(d->graph, x, axis, start, count);
}

/* To one dimension, or with the first two joined, or the last one split. */
static sf_value draw_reshape(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    int64_t *dims = spec.dims, n = sf_spec_elements(&spec);
    int64_t last = spec.n_dims ? dims[spec.n_dims - 1] : 1;
    switch (below(d, 4)) {
    case 0:
        return sf_reshape(d->graph, x, SF_DIMS(n));
    case 1:
        return sf_reshape(d->graph, x, SF_DIMS(n / last, last));
    case 2:
        return sf_reshape(d->graph, x, SF_DIMS(1, n / last, last));
    default:
        return last % 2 ? sf_reshape(d->graph, x, SF_DIMS(1, n / last, 1, last))
                        : sf_reshape(d->graph, x, SF_DIMS(1, n / last, 2, last / 2));
    }
}

static sf_value draw_expand(drawing *d, sf_value x) {
    sf_spec spec = spec_of(d, x);
    int64_t dims[SF_MAX_DIMS];
    int shift = spec.n_dims < 4 && below(d, 2) ? 1 : 0;
    for (int axis = 0; axis < spec.n_dims; axis++)
        dims[axis + shift] =
            spec.dims[axis] == 1 && below(d, 2) ? 1 + below(d, 4) : spec.dims[axis];
    if (shift)
        dims[0] = 1 + below(d, 3);
    return sf_expand(d->graph, x, spec.n_dims + shift, dims);
}

/* ---- the whole ---- */

typedef sf_value draw_function(drawing *d, sf_value x);

static draw_function *const draw_functions[] = {
    draw_unary,  draw_affine,    draw_clamp,       draw_binary,  draw_binary,  draw_linear,
    draw_linear, draw_conv2d,    draw_conv2d,      draw_norm,    draw_norm,    draw_softmax,
    draw_matmul, draw_attention, draw_reduction,   draw_concat,  draw_geglu,   draw_picture,
    draw_half,   draw_copy,      draw_combination, draw_permute, draw_permute, draw_slice,
    draw_slice,  draw_reshape,   draw_reshape,     draw_expand,  draw_expand,
};

#define N_DRAW_FUNCTIONS ((int64_t)(sizeof draw_functions / sizeof *draw_functions))

static bool is_small(const drawing *d, sf_value value) {
    sf_spec spec = spec_of(d, value);
    return sf_spec_elements(&spec) <= MOST_ELEMENTS;
}

void random_graph(sf_context *ctx, uint64_t seed, sf_graph **graph) {
    drawing d = {.random.state = seed};
    ck_ok(ctx, sf_graph_new(ctx, NULL, &d.graph));
    int n_inputs = 1 + (int)below(&d, 3), n_draws = 3 + (int)below(&d, 12);
    for (int i = 0; i < n_inputs; i++)
        d.values[d.n_values++] = draw_input(&d, i);
    if (below(&d, 4) == 0)
        d.values[d.n_values++] = constant(&d, SF_DIMS(3, 4));
    while (n_draws-- > 0) {
        /* Late values more often, so that graphs are deep as well as wide. */
        int64_t back = below(&d, 1 + below(&d, d.n_values));
        sf_value x = d.values[d.n_values - 1 - back];
        sf_value y = draw_functions[below(&d, N_DRAW_FUNCTIONS)](&d, x);
        ck_ok(ctx, sf_graph_status(d.graph));
        if (y != SF_NO_VALUE && is_small(&d, y))
            d.values[d.n_values++] = y;
    }
    sf_output(d.graph, "out0", d.values[d.n_values - 1]);
    for (int i = 1; i < 1 + below(&d, 4); i++) {
        char name[16];
        snprintf(name, sizeof name, "out%d", i);
        sf_output(d.graph, name, d.values[below(&d, d.n_values)]);
    }
    ck_ok(ctx, sf_graph_status(d.graph));
    *graph = d.graph;
}

/* ---- computing without a plan ---- */

/* The index of an element among those of a shape, in row-major order, and back. */
static int64_t join_index(const sf_spec *spec, const int64_t *index) {
    int64_t at = 0;
    for (int axis = 0; axis < spec->n_dims; axis++)
        at = at * spec->dims[axis] + index[axis];
    return at;
}

static void split_index(const sf_spec *spec, int64_t at, int64_t *index) {
    for (int axis = spec->n_dims - 1; axis >= 0; axis--) {
        index[axis] = at % spec->dims[axis];
        at /= spec->dims[axis];
    }
}

/* Which element of x is element i of the view y. */
static int64_t viewed_element(const sf_node *view, const sf_spec *x, int64_t i) {
    int64_t to[SF_MAX_DIMS] = {0}, from[SF_MAX_DIMS] = {0};
    int shift = view->spec.n_dims - x->n_dims;
    split_index(&view->spec, i, to);
    switch (view->op) {
    case SF_OP_permute:
        for (int axis = 0; axis < x->n_dims; axis++)
            from[view->attributes.shape.dims[axis]] = to[axis];
        return join_index(x, from);
    case SF_OP_slice:
        to[view->attributes.slice.axis] += view->attributes.slice.start;
        return join_index(x, to);
    case SF_OP_expand:
        for (int axis = 0; axis < x->n_dims; axis++)
            from[axis] = x->dims[axis] == 1 ? 0 : to[axis + shift];
        return join_index(x, from);
    default:
        return i;
    }
}

static void evaluate_view(const sf_graph *graph, const sf_node *view, void **values, char *y) {
    const sf_spec *x = sf_value_spec(graph, view->inputs[0]);
    size_t bytes = (size_t)sf_dtype_get(x->dtype)->block_bytes;
    const char *from = values[view->inputs[0]];
    for (int64_t i = 0; i < sf_spec_elements(&view->spec); i++)
        memcpy(y + (size_t)i * bytes, from + (size_t)viewed_element(view, x, i) * bytes, bytes);
}

static void evaluate_op(sf_context *ctx, sf_eager *eager, sf_backend *backend,
                        const sf_graph *graph, const sf_node *node, void **values, void *y) {
    sf_device_tensor *inputs[SF_MAX_INPUTS] = {0}, *output;
    for (int i = 0; i < node->n_inputs; i++) {
        if (node->inputs[i] == SF_NO_VALUE)
            continue;
        const sf_spec *spec = sf_value_spec(graph, node->inputs[i]);
        ck_ok(ctx, sf_device_tensor_new(backend, spec, &inputs[i]));
        ck_ok(ctx, sf_device_tensor_write(inputs[i], values[node->inputs[i]], sf_spec_bytes(spec)));
    }
    ck_ok(ctx, sf_device_tensor_new(backend, &node->spec, &output));
    ck_ok(ctx, sf_eager_run(eager, node->op, (const sf_device_tensor *const *)inputs,
                            node->n_inputs, &node->attributes, output));
    ck_ok(ctx, sf_device_tensor_read(output, y, sf_spec_bytes(&node->spec)));
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        sf_device_tensor_free(inputs[i]);
    sf_device_tensor_free(output);
}

void evaluate_graph(sf_context *ctx, sf_backend *backend, const sf_graph *graph,
                    const void *const *inputs, void **values) {
    sf_eager *eager;
    sf_plan_options options = {.backend = backend, .no_fusion = true};
    ck_ok(ctx, sf_eager_new(ctx, &options, &eager));
    int n_inputs = 0;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const sf_node *node = &graph->nodes[i];
        size_t bytes = sf_spec_bytes(&node->spec);
        values[i] = calloc(bytes + 1, 1);
        ck_assert_ptr_nonnull(values[i]);
        if (node->kind == SF_NODE_INPUT)
            memcpy(values[i], inputs[n_inputs++], bytes);
        else if (node->kind == SF_NODE_CONSTANT)
            memcpy(values[i], node->data, bytes);
        else if (sf_op_get(node->op)->flags & SF_OP_VIEW)
            evaluate_view(graph, node, values, values[i]);
        else
            evaluate_op(ctx, eager, backend, graph, node, values, values[i]);
    }
    sf_eager_free(eager);
}

void free_values(const sf_graph *graph, void **values) {
    for (size_t i = 0; i < graph->n_nodes; i++)
        free(values[i]);
}
