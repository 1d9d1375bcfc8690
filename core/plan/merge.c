/*
 * Merging: linear layers that read the same tensor become one, whose weight is theirs one below the
 * other; what each of them gave is then a slice of the columns of the wide result. So the queries,
 * keys and values of an attention, or what all residual blocks read of the time, take one launch. The
 * sums are the same as before, and so are the numbers.
 *
 *   q = x Wq^T, k = x Wk^T, v = x Wv^T  ->  y = x [Wq; Wk; Wv]^T, q, k, v = columns of y
 *
 * Only where the backend has memory of its own: weights are copied there in any case, and part by
 * part into one place costs nothing more. Layers stay as they are where somebody can't read such a
 * slice in place, and where they do not run each time (settled).
 */
#include "core/plan/internal.h"

#include "core/memory.h"

/* Inputs of linear. */
#define WEIGHT    1
#define BIAS      2
#define RESIDUAL  3
#define MOST_USED (RESIDUAL + 1)

typedef struct merger {
    const sf_plan *plan;
    const sf_graph *source;
    size_t n_nodes;
    bool *needed, *settled;
    /* Of nodes: the first layer of the group that it is in, SF_NO_VALUE: none. */
    sf_value *group;
    int64_t *column;    /* of layers: where it begins in the wide result */
    int64_t *n_columns; /* of first layers: of the wide result */
    sf_layout *layouts; /* as they will be; roots are nodes of source */
    size_t n_merged, n_groups;
} merger;

/* ---- which layers go together ---- */

/* The constant that a value is, perhaps with another shape; NULL: it is none. */
static const sf_node *constant_of(const sf_graph *graph, sf_value value) {
    const sf_node *node = value == SF_NO_VALUE ? NULL : &graph->nodes[value];
    while (node && node->kind == SF_NODE_OP && node->op == SF_OP_reshape)
        node = &graph->nodes[node->inputs[0]];
    return node && node->kind == SF_NODE_CONSTANT && !node->n_parts ? node : NULL;
}

static sf_value input_of(const sf_node *linear, int input) {
    return linear->n_inputs > input ? linear->inputs[input] : SF_NO_VALUE;
}

static bool is_constant_or_absent(const sf_graph *graph, sf_value value) {
    return value == SF_NO_VALUE || constant_of(graph, value);
}

/* The residual must be a constant row. */
static bool has_mergeable_residual(const sf_graph *graph, const sf_node *linear) {
    sf_value residual = input_of(linear, RESIDUAL);
    int64_t columns = linear->spec.dims[linear->spec.n_dims - 1];
    return is_constant_or_absent(graph, residual) &&
           (residual == SF_NO_VALUE || sf_spec_elements(&linear->spec) == columns);
}

static bool is_mergeable(const merger *m, size_t i) {
    const sf_node *node = &m->source->nodes[i];
    return m->needed[i] && !m->settled[i] && node->kind == SF_NODE_OP && node->op == SF_OP_linear &&
           sf_spec_elements(&node->spec) > 0 && constant_of(m->source, node->inputs[WEIGHT]) &&
           is_constant_or_absent(m->source, input_of(node, BIAS)) &&
           has_mergeable_residual(m->source, node);
}

static bool go_together(const sf_graph *graph, const sf_node *a, const sf_node *b) {
    bool same = a->inputs[0] == b->inputs[0] &&
                a->attributes.linear.activation == b->attributes.linear.activation;
    for (int i = WEIGHT; i < MOST_USED; i++)
        same = same && sf_value_spec(graph, input_of(a, i))->dtype ==
                           sf_value_spec(graph, input_of(b, i))->dtype;
    return same;
}

static void find_settled(merger *m) {
    for (size_t i = 0; i < m->n_nodes; i++) {
        const sf_node *node = &m->source->nodes[i];
        m->settled[i] = node->kind != SF_NODE_INPUT || node->settled;
        for (int k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] != SF_NO_VALUE)
                m->settled[i] = m->settled[i] && m->settled[node->inputs[k]];
    }
}

static void find_groups(merger *m) {
    for (size_t i = 0; i < m->n_nodes; i++) {
        m->group[i] = SF_NO_VALUE;
        if (!is_mergeable(m, i))
            continue;
        m->group[i] = (sf_value)i;
        for (size_t k = 0; k < i; k++)
            if (m->group[k] == (sf_value)k &&
                go_together(m->source, &m->source->nodes[k], &m->source->nodes[i])) {
                m->group[i] = (sf_value)k;
                break;
            }
    }
}

/* Takes a layer out of its group; the next one of the group may become its first. */
static void leave(merger *m, sf_value layer) {
    sf_value first = m->group[layer], next = SF_NO_VALUE;
    m->group[layer] = SF_NO_VALUE;
    for (size_t i = (size_t)layer; first == layer && i < m->n_nodes; i++) {
        if (m->group[i] != first)
            continue;
        if (next == SF_NO_VALUE)
            next = (sf_value)i;
        m->group[i] = next;
    }
}

/* Columns of the layers in order; a layer alone leaves. */
static void count_columns(merger *m) {
    for (size_t i = 0; i < m->n_nodes; i++)
        m->n_columns[i] = 0;
    for (size_t i = 0; i < m->n_nodes; i++) {
        const sf_spec *spec = &m->source->nodes[i].spec;
        if (m->group[i] == SF_NO_VALUE)
            continue;
        m->column[i] = m->n_columns[m->group[i]];
        m->n_columns[m->group[i]] += spec->dims[spec->n_dims - 1];
    }
    for (size_t i = 0; i < m->n_nodes; i++) {
        const sf_spec *spec = &m->source->nodes[i].spec;
        if (m->group[i] == (sf_value)i && m->n_columns[i] == spec->dims[spec->n_dims - 1])
            m->group[i] = SF_NO_VALUE;
    }
}

/* ---- whether everybody can read a slice ---- */

/* A layer's result as columns of the wide one. */
static void lay_out_slice(const merger *m, sf_value layer, sf_layout *layout) {
    sf_spec wide = m->source->nodes[layer].spec;
    wide.dims[wide.n_dims - 1] = m->n_columns[m->group[layer]];
    sf_layout_contiguous(&wide, layer, layout);
    layout->offset = m->column[layer];
}

/* The layout of node i; a reshape that would need a copy of a slice makes the layer leave. */
static bool lay_out(merger *m, size_t i) {
    const sf_node *node = &m->source->nodes[i];
    sf_layout *layout = &m->layouts[i];
    sf_layout_contiguous(&node->spec, (sf_value)i, layout);
    if (m->group[i] != SF_NO_VALUE) {
        lay_out_slice(m, (sf_value)i, layout);
    } else if (node->kind == SF_NODE_OP && sf_op_get(node->op)->flags & SF_OP_VIEW) {
        const sf_layout *input = &m->layouts[node->inputs[0]];
        if (sf_layout_of_view(node, sf_value_spec(m->source, node->inputs[0]), input, layout))
            return true;
        sf_layout_contiguous(&node->spec, (sf_value)i, layout);
        if (m->group[input->root] != SF_NO_VALUE) {
            leave(m, input->root);
            return false;
        }
    }
    return true;
}

static bool backend_has(const merger *m, const sf_node *node) {
    sf_tensor_desc inputs[SF_MAX_INPUTS], output;
    sf_layout layout;
    for (int i = 0; i < node->n_inputs; i++) {
        sf_value value = node->inputs[i];
        const sf_spec *spec = sf_value_spec(m->source, value);
        bool absent = value == SF_NO_VALUE;
        sf_layout_contiguous(spec, value, &layout);
        sf_describe(spec, absent ? &layout : &m->layouts[value],
                    !absent && m->source->nodes[m->layouts[value].root].kind == SF_NODE_CONSTANT,
                    &inputs[i]);
    }
    sf_layout_contiguous(&node->spec, SF_NO_VALUE, &layout);
    sf_describe(&node->spec, &layout, false, &output);
    sf_op_call call = sf_describe_call(node, inputs, &output);
    return sf_backend_supports(m->plan->backends[SF_SIDE_BACKEND], node->op, &call);
}

/* The layers whose slices the node reads. true: it can. */
static bool can_read(merger *m, size_t i) {
    const sf_node *node = &m->source->nodes[i];
    bool reads = false, refused = false;
    if (node->kind != SF_NODE_OP || sf_op_get(node->op)->flags & SF_OP_VIEW || !m->needed[i])
        return true;
    for (int k = 0; k < node->n_inputs; k++)
        reads = reads || (node->inputs[k] != SF_NO_VALUE &&
                          m->group[m->layouts[node->inputs[k]].root] != SF_NO_VALUE);
    if (!reads || backend_has(m, node))
        return true;
    for (int k = 0; k < node->n_inputs; k++) {
        sf_value root =
            node->inputs[k] == SF_NO_VALUE ? SF_NO_VALUE : m->layouts[node->inputs[k]].root;
        if (root != SF_NO_VALUE && m->group[root] != SF_NO_VALUE) {
            leave(m, root);
            refused = true;
        }
    }
    return !refused;
}

/* The axis along which constants of layers are joined: the weight's rows, else the columns. */
static int joined_axis(const sf_spec *spec, int input) {
    return input == WEIGHT ? 0 : spec->n_dims - 1;
}

/* The wide layer of a group; its constants are not there yet. */
static sf_node wide_layer(const merger *m, sf_value first) {
    sf_node wide = m->source->nodes[first];
    wide.spec.dims[wide.spec.n_dims - 1] = m->n_columns[first];
    return wide;
}

/* As backend_has(), with specs of constants that are not there yet. */
static bool backend_has_wide(const merger *m, sf_value first) {
    const sf_node wide = wide_layer(m, first);
    sf_tensor_desc inputs[MOST_USED], output;
    for (int i = 0; i < wide.n_inputs; i++) {
        sf_spec spec = *sf_value_spec(m->source, wide.inputs[i]);
        sf_layout layout;
        if (i > 0 && wide.inputs[i] != SF_NO_VALUE)
            spec.dims[joined_axis(&spec, i)] = m->n_columns[first];
        sf_layout_contiguous(&spec, SF_NO_VALUE, &layout);
        sf_describe(&spec, i == 0 ? &m->layouts[wide.inputs[0]] : &layout, i > 0, &inputs[i]);
    }
    sf_layout contiguous;
    sf_layout_contiguous(&wide.spec, SF_NO_VALUE, &contiguous);
    sf_describe(&wide.spec, &contiguous, false, &output);
    sf_op_call call = sf_describe_call(&wide, inputs, &output);
    return sf_backend_supports(m->plan->backends[SF_SIDE_BACKEND], SF_OP_linear, &call);
}

static void dissolve(merger *m, sf_value first) {
    for (size_t i = 0; i < m->n_nodes; i++)
        if (m->group[i] == first)
            m->group[i] = SF_NO_VALUE;
}

/* One round; false: a group became smaller, so another one is needed. */
static bool agree(merger *m) {
    bool agreed = true;
    count_columns(m);
    for (size_t i = 0; i < m->n_nodes && agreed; i++)
        agreed = lay_out(m, i);
    for (size_t i = 0; i < m->n_nodes && agreed; i++)
        agreed = can_read(m, i);
    for (size_t i = 0; i < m->source->n_outputs && agreed; i++) {
        sf_value root = m->layouts[m->source->outputs[i].value].root;
        agreed = m->group[root] == SF_NO_VALUE;
        if (!agreed)
            leave(m, root);
    }
    for (size_t i = 0; i < m->n_nodes && agreed; i++)
        if (m->group[i] == (sf_value)i && !backend_has_wide(m, (sf_value)i)) {
            dissolve(m, (sf_value)i);
            agreed = false;
        }
    return agreed;
}

/* ---- writing the graph anew ---- */

static sf_value add_node(sf_node *nodes, size_t *n_nodes, const sf_node *node) {
    nodes[*n_nodes] = *node;
    return (sf_value)(*n_nodes)++;
}

/* "NAME and 2 more", where NAME is the first layer's constant or the layer. */
static const char *name_for(sf_graph *graph, const char *name, size_t n_layers) {
    return sf_graph_own(graph,
                        sf_format(graph->ctx, "%s and %zu more", name ? name : "", n_layers - 1));
}

/* Input `input` (a constant) of all layers of a group as one constant. */
static sf_status join_constants(const merger *m, sf_graph *graph, sf_value first, int input,
                                sf_node *joined) {
    size_t n_layers = 0, count = 0;
    for (size_t i = 0; i < m->n_nodes; i++)
        n_layers += m->group[i] == first;
    sf_part *parts = sf_graph_own(graph, SF_NEW_ARRAY(graph->ctx, sf_part, n_layers));
    sf_value own = graph->nodes[first].inputs[input];
    const char *name = name_for(graph, constant_of(graph, own)->name, n_layers);
    if (!parts || !name)
        return SF_ERROR_MEMORY;
    for (size_t i = 0; i < m->n_nodes; i++)
        if (m->group[i] == first) {
            const sf_node *part = constant_of(graph, graph->nodes[i].inputs[input]);
            parts[count++] = (sf_part){part->data, sf_spec_bytes(&part->spec)};
        }
    *joined = (sf_node){.kind = SF_NODE_CONSTANT,
                        .op = SF_OP_COUNT,
                        .spec = *sf_value_spec(graph, own),
                        .name = name,
                        .parts = parts,
                        .n_parts = n_layers};
    joined->spec.dims[joined_axis(&joined->spec, input)] = m->n_columns[first];
    return SF_OK;
}

/* Adds the wide layer of a group, and its constants. */
static sf_status add_wide(const merger *m, sf_graph *graph, sf_value first, const sf_value *renamed,
                          sf_node *nodes, size_t *n_nodes, sf_value *added) {
    sf_node wide = wide_layer(m, first);
    size_t n_layers = 0;
    for (size_t i = 0; i < m->n_nodes; i++)
        n_layers += m->group[i] == first;
    wide.name = name_for(graph, wide.name, n_layers);
    if (!wide.name)
        return SF_ERROR_MEMORY;
    wide.inputs[0] = renamed[wide.inputs[0]];
    for (int i = 1; i < wide.n_inputs; i++) {
        sf_node constant;
        if (wide.inputs[i] == SF_NO_VALUE)
            continue;
        SF_TRY(join_constants(m, graph, first, i, &constant));
        wide.inputs[i] = add_node(nodes, n_nodes, &constant);
    }
    *added = add_node(nodes, n_nodes, &wide);
    return SF_OK;
}

/* The columns of a layer in its group's wide result. */
static sf_node slice_of(const merger *m, sf_value layer, sf_value wide) {
    const sf_node *from = &m->source->nodes[layer];
    int axis = from->spec.n_dims - 1;
    return (sf_node){
        .kind = SF_NODE_OP,
        .op = SF_OP_slice,
        .n_inputs = 1,
        .inputs = {wide},
        .attributes.slice = {axis, m->column[layer], from->spec.dims[axis]},
        .spec = from->spec,
        .name = from->name,
    };
}

/* The graph with the groups as wide layers; nodes has room for all. */
static sf_status rewrite(const merger *m, sf_graph *graph, sf_value *renamed, sf_value *wide,
                         sf_node *nodes, size_t *n_nodes) {
    for (size_t i = 0; i < m->n_nodes; i++) {
        sf_value first = m->group[i];
        sf_node node = graph->nodes[i];
        if (first == (sf_value)i)
            SF_TRY(add_wide(m, graph, first, renamed, nodes, n_nodes, &wide[i]));
        for (int k = 0; k < node.n_inputs; k++)
            if (node.inputs[k] != SF_NO_VALUE)
                node.inputs[k] = renamed[node.inputs[k]];
        if (first != SF_NO_VALUE)
            node = slice_of(m, (sf_value)i, wide[first]);
        renamed[i] = add_node(nodes, n_nodes, &node);
    }
    return SF_OK;
}

static sf_status apply(const merger *m, sf_graph *graph) {
    size_t capacity = m->n_nodes + MOST_USED * m->n_groups, n_nodes = 0;
    sf_node *nodes = SF_NEW_ARRAY(graph->ctx, sf_node, capacity);
    sf_value *renamed = SF_NEW_ARRAY(graph->ctx, sf_value, m->n_nodes);
    sf_value *wide = SF_NEW_ARRAY(graph->ctx, sf_value, m->n_nodes);
    sf_status status = nodes && renamed && wide ? SF_OK : SF_ERROR_MEMORY;
    if (status == SF_OK)
        status = rewrite(m, graph, renamed, wide, nodes, &n_nodes);
    if (status == SF_OK) {
        for (size_t i = 0; i < graph->n_outputs; i++)
            graph->outputs[i].value = renamed[graph->outputs[i].value];
        sf_free(graph->ctx, graph->nodes);
        graph->nodes = nodes;
        graph->n_nodes = n_nodes;
        graph->nodes_capacity = capacity;
        nodes = NULL;
    }
    sf_free(graph->ctx, nodes);
    sf_free(graph->ctx, renamed);
    sf_free(graph->ctx, wide);
    return status;
}

/* ---- the phase ---- */

static sf_status reserve(merger *m) {
    sf_context *ctx = m->plan->ctx;
    m->needed = SF_NEW_ARRAY(ctx, bool, m->n_nodes);
    m->settled = SF_NEW_ARRAY(ctx, bool, m->n_nodes);
    m->group = SF_NEW_ARRAY(ctx, sf_value, m->n_nodes);
    m->column = SF_NEW_ARRAY(ctx, int64_t, m->n_nodes);
    m->n_columns = SF_NEW_ARRAY(ctx, int64_t, m->n_nodes);
    m->layouts = SF_NEW_ARRAY(ctx, sf_layout, m->n_nodes);
    return m->needed && m->settled && m->group && m->column && m->n_columns && m->layouts
               ? SF_OK
               : SF_ERROR_MEMORY;
}

static void release(merger *m) {
    sf_context *ctx = m->plan->ctx;
    sf_free(ctx, m->needed);
    sf_free(ctx, m->settled);
    sf_free(ctx, m->group);
    sf_free(ctx, m->column);
    sf_free(ctx, m->n_columns);
    sf_free(ctx, m->layouts);
}

sf_status sf_plan_merge(sf_plan *plan) {
    merger m = {.plan = plan, .source = plan->source, .n_nodes = plan->source->n_nodes};
    sf_status status;
    if (sf_backend_has_host_memory(plan->backends[SF_SIDE_BACKEND]))
        return SF_OK;
    SF_TRY_OUT(reserve(&m));
    sf_plan_mark_needed(plan->source, m.needed);
    find_settled(&m);
    find_groups(&m);
    while (!agree(&m))
        ;
    for (size_t i = 0; i < m.n_nodes; i++) {
        m.n_groups += m.group[i] == (sf_value)i;
        m.n_merged += m.group[i] != SF_NO_VALUE;
    }
    m.n_merged -= m.n_groups;
    plan->stats.n_merged = m.n_merged;
    if (m.n_groups)
        status = apply(&m, plan->source);
out:
    release(&m);
    return status;
}
