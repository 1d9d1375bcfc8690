/*
 * Building a graph: nodes, scopes, leaves and sticky errors. See graph.h. The functions that add
 * one op each (sf_conv2d(), ...) are beside the op's descriptor in core/ops/.
 */
#include "core/graph.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"

sf_status sf_graph_new(sf_context *ctx, const sf_tensors *weights, sf_graph **graph) {
    sf_graph *g = SF_NEW(ctx, sf_graph);
    if (!g)
        return SF_ERROR_MEMORY;
    g->ctx = ctx;
    g->weights = weights;
    *graph = g;
    return SF_OK;
}

void sf_graph_free(sf_graph *graph) {
    if (!graph)
        return;
    sf_context *ctx = graph->ctx;
    for (size_t i = 0; i < graph->n_owned; i++)
        sf_free(ctx, graph->owned[i]);
    sf_free(ctx, graph->owned);
    sf_free(ctx, graph->nodes);
    sf_free(ctx, graph->outputs);
    sf_free(ctx, graph);
}

sf_status sf_graph_status(const sf_graph *graph) {
    return graph->status;
}

static sf_value keep_failure(sf_graph *graph, sf_status status) {
    if (graph->status == SF_OK)
        graph->status = status;
    return SF_NO_VALUE;
}

sf_value sf_graph_fail(sf_graph *graph, sf_status status, const char *format, ...) {
    if (graph->status != SF_OK)
        return SF_NO_VALUE;
    va_list arguments;
    va_start(arguments, format);
    sf_fail_v(graph->ctx, status, format, arguments);
    va_end(arguments);
    if (graph->scope[0])
        sf_fail_in(graph->ctx, status, "%s", graph->scope);
    return keep_failure(graph, status);
}

/* ---- what the graph owns ---- */

void *sf_graph_own(sf_graph *graph, void *block) {
    if (!block)
        return NULL;
    if (sf_grow(graph->ctx, (void **)&graph->owned, &graph->owned_capacity, graph->n_owned + 1,
                sizeof *graph->owned) != SF_OK) {
        sf_free(graph->ctx, block);
        return NULL;
    }
    graph->owned[graph->n_owned++] = block;
    return block;
}

/* "SCOPE.name", or either where the other is empty. */
static const char *scoped_name(sf_graph *graph, const char *name) {
    const char *dot = graph->scope[0] && name[0] ? "." : "";
    return sf_graph_own(graph, sf_format(graph->ctx, "%s%s%s", graph->scope, dot, name));
}

/* ---- scopes ---- */

sf_scope sf_scope_enter(sf_graph *graph, const char *format, ...) {
    sf_scope mark = strlen(graph->scope);
    size_t room = sizeof graph->scope - mark;
    const char *dot = mark ? "." : "";
    char name[sizeof graph->scope];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length + 2 > room) {
        sf_graph_fail(graph, SF_ERROR_ARGUMENT, "the name of a layer is longer than %zu bytes",
                      sizeof graph->scope);
        return mark;
    }
    snprintf(graph->scope + mark, room, "%s%.*s", dot, (int)(room - 2), name);
    return mark;
}

void sf_scope_leave(sf_graph *graph, sf_scope mark) {
    graph->scope[mark] = '\0';
}

/* ---- values ---- */

const sf_spec *sf_value_spec(const sf_graph *graph, sf_value value) {
    static const sf_spec none = {.dtype = SF_NONE, .dims = {1, 1, 1, 1, 1}};
    if (value < 0 || (size_t)value >= graph->n_nodes)
        return &none;
    return &graph->nodes[value].spec;
}

int64_t sf_value_dim(const sf_graph *graph, sf_value value, int axis) {
    return sf_value_spec(graph, value)->dims[axis];
}

static sf_value append(sf_graph *graph, const sf_node *node) {
    if (graph->n_nodes >= INT32_MAX)
        return sf_graph_fail(graph, SF_ERROR_ARGUMENT, "a graph of more than 2^31 nodes");
    sf_status status = sf_grow(graph->ctx, (void **)&graph->nodes, &graph->nodes_capacity,
                               graph->n_nodes + 1, sizeof *graph->nodes);
    if (status != SF_OK)
        return keep_failure(graph, status);
    graph->nodes[graph->n_nodes] = *node;
    return (sf_value)graph->n_nodes++;
}

size_t sf_node_parts(const sf_node *node, sf_part *one, const sf_part **parts) {
    *one = (sf_part){node->data, sf_spec_bytes(&node->spec)};
    *parts = node->n_parts ? node->parts : one;
    return node->n_parts ? node->n_parts : 1;
}

/* ---- leaves ---- */

/* Appends a leaf; its size must be countable in bytes. */
static sf_value append_leaf(sf_graph *graph, sf_node_kind kind, const char *name, sf_dtype dtype,
                            int n_dims, const int64_t *dims, const void *data) {
    int64_t n_elements;
    size_t bytes;
    sf_status status = sf_shape_size(graph->ctx, name, dtype, n_dims, dims, &n_elements, &bytes);
    if (status != SF_OK)
        return keep_failure(graph, status);
    sf_node node = {.kind = kind, .op = SF_OP_COUNT, .name = name, .data = data};
    node.spec.dtype = dtype;
    node.spec.n_dims = n_dims;
    if (n_dims)
        memcpy(node.spec.dims, dims, (size_t)n_dims * sizeof *dims);
    sf_spec_normalize(&node.spec);
    return append(graph, &node);
}

sf_value sf_input(sf_graph *graph, const char *name, sf_dtype dtype, int n_dims,
                  const int64_t *dims) {
    if (graph->status != SF_OK)
        return SF_NO_VALUE;
    const char *kept = sf_graph_own(graph, sf_strdup(graph->ctx, name));
    if (!kept)
        return keep_failure(graph, SF_ERROR_MEMORY);
    return append_leaf(graph, SF_NODE_INPUT, kept, dtype, n_dims, dims, NULL);
}

sf_value sf_settled_input(sf_graph *graph, const char *name, sf_dtype dtype, int n_dims,
                          const int64_t *dims) {
    sf_value value = sf_input(graph, name, dtype, n_dims, dims);
    if (value != SF_NO_VALUE)
        graph->nodes[value].settled = true;
    return value;
}

static sf_value weight(sf_graph *graph, const char *name, bool required) {
    if (graph->status != SF_OK)
        return SF_NO_VALUE;
    const char *full = scoped_name(graph, name);
    if (!full)
        return keep_failure(graph, SF_ERROR_MEMORY);
    const sf_tensor *tensor = graph->weights ? sf_tensors_find(graph->weights, full) : NULL;
    if (tensor)
        return append_leaf(graph, SF_NODE_CONSTANT, full, tensor->dtype, tensor->n_dims,
                           tensor->dims, tensor->data);
    const char *type = graph->weights ? sf_tensors_skipped(graph->weights, full) : NULL;
    if (type) {
        sf_fail(graph->ctx, SF_ERROR_UNSUPPORTED, "tensor \"%s\" has elements of type %s", full,
                type);
        return keep_failure(graph, SF_ERROR_UNSUPPORTED);
    }
    if (!required)
        return SF_NO_VALUE;
    sf_fail(graph->ctx, SF_ERROR_NOT_FOUND, "the weights have no tensor \"%s\"", full);
    return keep_failure(graph, SF_ERROR_NOT_FOUND);
}

sf_value sf_weight(sf_graph *graph, const char *name) {
    return weight(graph, name, true);
}

sf_value sf_weight_shaped(sf_graph *graph, const char *name, int n_dims, const int64_t *dims) {
    if (graph->status != SF_OK || graph->assumed == SF_NONE)
        return sf_weight(graph, name);
    const char *full = scoped_name(graph, name);
    if (!full)
        return keep_failure(graph, SF_ERROR_MEMORY);
    return append_leaf(graph, SF_NODE_CONSTANT, full, graph->assumed, n_dims, dims, NULL);
}

sf_value sf_weight_optional(sf_graph *graph, const char *name) {
    return weight(graph, name, false);
}

sf_value sf_constant_f32(sf_graph *graph, const char *name, int n_dims, const int64_t *dims,
                         const float *data) {
    if (graph->status != SF_OK)
        return SF_NO_VALUE;
    const char *full = scoped_name(graph, name);
    if (!full)
        return keep_failure(graph, SF_ERROR_MEMORY);
    int64_t n_elements;
    size_t bytes;
    sf_status status = sf_shape_size(graph->ctx, full, SF_F32, n_dims, dims, &n_elements, &bytes);
    if (status != SF_OK)
        return keep_failure(graph, status);
    void *copy = sf_graph_own(graph, sf_alloc(graph->ctx, bytes, 1));
    if (!copy)
        return keep_failure(graph, SF_ERROR_MEMORY);
    if (bytes)
        memcpy(copy, data, bytes);
    return append_leaf(graph, SF_NODE_CONSTANT, full, SF_F32, n_dims, dims, copy);
}

void sf_output(sf_graph *graph, const char *name, sf_value value) {
    if (graph->status != SF_OK)
        return;
    if (value < 0 || (size_t)value >= graph->n_nodes) {
        sf_graph_fail(graph, SF_ERROR_INTERNAL, "output \"%s\" has no value", name);
        return;
    }
    const char *kept = sf_graph_own(graph, sf_strdup(graph->ctx, name));
    sf_status status = kept
                           ? sf_grow(graph->ctx, (void **)&graph->outputs, &graph->outputs_capacity,
                                     graph->n_outputs + 1, sizeof *graph->outputs)
                           : SF_ERROR_MEMORY;
    if (status != SF_OK) {
        keep_failure(graph, status);
        return;
    }
    graph->outputs[graph->n_outputs++] = (sf_graph_output){.name = kept, .value = value};
}

/* ---- op nodes ---- */

/* Copies the inputs' specs; absent ones are SF_NONE. Checks how many there are. */
static sf_status gather_inputs(sf_graph *graph, const sf_op *op, sf_node *node,
                               const sf_value *inputs, int n_inputs, sf_spec *specs) {
    int most_names = 0;
    while (op->inputs[most_names])
        most_names++;
    int most = op->variadic ? SF_MAX_INPUTS : most_names;
    if (n_inputs > most)
        SF_FAIL(graph->ctx, ERROR_ARGUMENT, "%d inputs, at most %d", n_inputs, most);
    while (n_inputs > op->n_required && !op->variadic && inputs[n_inputs - 1] == SF_NO_VALUE)
        n_inputs--;
    if (n_inputs < op->n_required)
        SF_FAIL(graph->ctx, ERROR_ARGUMENT, "%d inputs, needs %d", n_inputs, op->n_required);
    for (int i = 0; i < SF_MAX_INPUTS; i++)
        node->inputs[i] = i < n_inputs ? inputs[i] : SF_NO_VALUE;
    node->n_inputs = n_inputs;
    for (int i = 0; i < n_inputs; i++) {
        if (inputs[i] >= 0 && (size_t)inputs[i] >= graph->n_nodes)
            SF_FAIL(graph->ctx, ERROR_INTERNAL, "input %d is no value of the graph", i);
        specs[i] = *sf_value_spec(graph, inputs[i]);
    }
    for (int i = 0; i < n_inputs; i++)
        if (inputs[i] < 0 && (i < op->n_required || op->variadic))
            SF_FAIL(graph->ctx, ERROR_ARGUMENT, "input %s is missing",
                    op->inputs[i < most_names ? i : most_names - 1]);
    return SF_OK;
}

/* Puts "conv2d \"down_blocks.0\" (x f32 [1, 8], weight f16 [4])" before the failure's message. */
static void name_failure(sf_graph *graph, sf_status status, const sf_op *op, const char *name,
                         const sf_spec *specs, int n_inputs) {
    char list[SF_ERROR_BYTES / 2] = "";
    size_t used = 0;
    for (int i = 0, last = 0; i < n_inputs && used < sizeof list; i++) {
        char shape[SF_SHAPE_TEXT];
        int length = snprintf(list + used, sizeof list - used, "%s%s %s", i ? ", " : "",
                              op->inputs[last], sf_spec_text(&specs[i], shape));
        used += length > 0 ? (size_t)length : 0;
        last += op->inputs[last + 1] != NULL;
    }
    sf_fail_in(graph->ctx, status, "%s \"%s\" (%s)", op->name, name, list);
}

sf_value sf_node_add(sf_graph *graph, sf_op_id id, const sf_value *inputs, int n_inputs,
                     const sf_attributes *attributes) {
    if (graph->status != SF_OK)
        return SF_NO_VALUE;
    const sf_op *op = sf_op_get(id);
    sf_node node = {.kind = SF_NODE_OP, .op = id};
    sf_spec specs[SF_MAX_INPUTS] = {0};
    if (attributes)
        node.attributes = *attributes;
    node.name = scoped_name(graph, "");
    if (!node.name)
        return keep_failure(graph, SF_ERROR_MEMORY);
    sf_status status = gather_inputs(graph, op, &node, inputs, n_inputs, specs);
    if (status == SF_OK)
        status = op->infer(graph->ctx, specs, node.n_inputs, &node.attributes, &node.spec);
    if (status == SF_OK) {
        sf_spec_normalize(&node.spec);
        int64_t n_elements;
        size_t bytes;
        status = sf_shape_size(graph->ctx, "output", node.spec.dtype, node.spec.n_dims,
                               node.spec.dims, &n_elements, &bytes);
    }
    if (status != SF_OK) {
        name_failure(graph, status, op, node.name, specs, node.n_inputs);
        return keep_failure(graph, status);
    }
    return append(graph, &node);
}
