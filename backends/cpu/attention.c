/*
 * attention: the keys block by block for each panel of queries, without the matrix of scores (Dao et
 * al. 2022, 2023).
 *
 * First the keys are turned over and the values put into tiles, as f32 in the workspace (as bf16 where
 * all is stored so and the processor has units for it), for as many heads as MOST_PACKED_BYTES has room
 * for in f32. Then each panel of queries of each of these heads is an
 * item, with scores, weights and results in its thread's scratch memory. What a panel does depends
 * on no other one, so results do not depend on the number of threads.
 */
#include <float.h>
#include <string.h>

#include "backends/cpu/cpu.h"

#define MOST_PACKED_BYTES (UINT64_C(16) << 20) /* but one head at least */
#define MOST_CHANNELS     6144                 /* of a head */
#define MOST_QUERIES      (CPU_ATTEND_VECTORS * 16)
#define KEYS_OF_ITEM      512
#define PADDING           16 /* a multiple of each instruction set's vector, and of tiles */

_Static_assert(((2 * MOST_CHANNELS + 2 * CPU_ATTEND_KEYS + 2) * MOST_QUERIES + MOST_CHANNELS) *
                       sizeof(float) <=
                   CPU_SCRATCH_BYTES,
               "a panel is larger than a thread's scratch memory");
_Static_assert(KEYS_OF_ITEM % CPU_ATTEND_KEYS == 0 && CPU_ATTEND_KEYS % PADDING == 0,
               "blocks of keys do not fill items");

static int64_t padded(int64_t n) {
    return cpu_divide_up(n, PADDING) * PADDING;
}

static int64_t tiled(int64_t n) {
    return cpu_divide_up(n, CPU_ATTEND_TILE) * CPU_ATTEND_TILE;
}

/* ---- the call in plain numbers ---- */

typedef struct attention {
    const cpu_kernels *kernels;
    const sf_attention_attributes *attributes;
    const sf_tensor_desc *q, *k, *v, *y;
    sf_tensor_desc mask; /* expanded to [B, heads, T, S]; SF_NONE: none */
    int64_t heads, T, S, D, E;
    bool in_bf16;         /* see attend_bf16 */
    float *keys, *values; /* packed; keys_room and values_room floats a head */
    int64_t keys_room, values_room;
    int64_t first; /* of the heads that are packed, of all B * heads */
    int64_t n_panels, n_key_items;
} attention;

static sf_tensor_desc expanded_mask(const sf_op_call *call) {
    const sf_attention_attributes *attributes = call->attributes;
    const sf_tensor_desc *mask = ref_input(call, 3);
    int64_t dims[] = {call->output->dims[0], attributes->n_heads, call->output->dims[1],
                      ref_input(call, 1)->dims[1]};
    return ref_is_present(mask) ? ref_expanded(mask, 4, dims) : *mask;
}

static attention attention_of(const sf_op_call *call) {
    attention a = {.attributes = call->attributes,
                   .q = ref_input(call, 0),
                   .k = ref_input(call, 1),
                   .v = ref_input(call, 2),
                   .y = call->output,
                   .mask = expanded_mask(call)};
    a.heads = a.attributes->n_heads;
    a.T = a.q->dims[1];
    a.S = a.k->dims[1];
    a.D = a.q->dims[2] / a.heads;
    a.E = a.v->dims[2] / a.heads;
    if (ref_elements(a.y) > 0) {
        a.keys_room = padded(a.S) * a.D;
        a.values_room = a.S * tiled(a.E);
    }
    return a;
}

/* Columns of one head of x [B, rows, heads * width], from row `first` on. */
static cpu_matrix head_of(const sf_tensor_desc *x, int64_t head, int64_t heads, int64_t first) {
    int64_t width = x->dims[2] / heads;
    int64_t offset = head / heads * x->strides[0] + first * x->strides[1] + head % heads * width;
    return (cpu_matrix){.data = (char *)ref_address(x) + offset * ref_element_bytes(x->dtype),
                        .dtype = x->dtype,
                        .row_stride = x->strides[1]};
}

static void *row_of(const cpu_matrix *x, int64_t row) {
    return (char *)x->data + row * x->row_stride * ref_element_bytes(x->dtype);
}

/* ---- keys and values of some heads ---- */

/* n numbers of a dimension that is summed over, in lanes: in bf16 these are pairs. */
static int64_t lanes_of(const attention *a, int64_t n) {
    return a->in_bf16 ? cpu_divide_up(n, 2) : n;
}

/* Rows of queries or keys, turned over. In bf16 they are not scaled, lest they are rounded again. */
static void turn(const attention *a, const cpu_matrix *x, int64_t rows, float scale, float *target,
                 int64_t width) {
    if (a->in_bf16)
        a->kernels->pack_rows_bf16(x, 0, rows, 0, a->D, target);
    else
        a->kernels->turn(x, rows, a->D, scale, target, width);
}

static void pack_keys(const attention *a, int64_t head, int64_t first, int64_t end) {
    int vector = a->kernels->vector;
    float *keys = a->keys + (head - a->first) * a->keys_room;
    for (int64_t s = first; s < end; s += vector) {
        cpu_matrix k = head_of(a->k, head, a->heads, s);
        turn(a, &k, cpu_smaller(vector, end - s), 1, keys + s * lanes_of(a, a->D), vector);
    }
}

/* Block by block of CPU_ATTEND_KEYS keys: the tiles of a block lie together. */
static void pack_values(const attention *a, int64_t head, int64_t first, int64_t end, float *row) {
    cpu_matrix v = head_of(a->v, head, a->heads, 0);
    float *values = a->values + (head - a->first) * a->values_room;
    for (int64_t e = a->E; e < tiled(a->E); e++)
        row[e] = 0;
    for (int64_t s = first; s < end; s++) {
        int64_t start = s / CPU_ATTEND_KEYS * CPU_ATTEND_KEYS;
        int64_t n_keys = cpu_smaller(CPU_ATTEND_KEYS, a->S - start);
        float *at = values + start * tiled(a->E) + (s - start) * CPU_ATTEND_TILE;
        a->kernels->widen(v.dtype, row_of(&v, s), row, a->E);
        for (int64_t e = 0; e < a->E; e += CPU_ATTEND_TILE)
            memcpy(at + e * n_keys, row + e, CPU_ATTEND_TILE * sizeof *row);
    }
}

/* The same in pairs of keys; the last one's other half is 0. */
static void pack_value_pairs(const attention *a, int64_t head, int64_t first, int64_t end) {
    cpu_matrix v = head_of(a->v, head, a->heads, 0);
    float *values = a->values + (head - a->first) * a->values_room;
    for (int64_t s = first; s < end; s += 2) {
        int64_t start = s / CPU_ATTEND_KEYS * CPU_ATTEND_KEYS;
        int64_t n_pairs = lanes_of(a, cpu_smaller(CPU_ATTEND_KEYS, a->S - start));
        const uint16_t *row = row_of(&v, s), *next = s + 1 < a->S ? row_of(&v, s + 1) : NULL;
        float *at = values + start / 2 * tiled(a->E) + (s - start) / 2 * CPU_ATTEND_TILE;
        for (int64_t e = 0; e < a->E; e += CPU_ATTEND_TILE, at += n_pairs * CPU_ATTEND_TILE) {
            uint32_t tile[CPU_ATTEND_TILE] = {0};
            for (int64_t i = 0; i < CPU_ATTEND_TILE && e + i < a->E; i++)
                tile[i] = row[e + i] | (next ? (uint32_t)next[e + i] << 16 : 0);
            memcpy(at, tile, sizeof tile);
        }
    }
}

static void pack_item(void *user, int64_t item, cpu_thread *thread) {
    const attention *a = user;
    int64_t head = a->first + item / a->n_key_items;
    int64_t first = item % a->n_key_items * KEYS_OF_ITEM;
    int64_t end = cpu_smaller(first + KEYS_OF_ITEM, a->S);
    pack_keys(a, head, first, end);
    if (a->in_bf16)
        pack_value_pairs(a, head, first, end);
    else
        pack_values(a, head, first, end, (float *)thread->scratch);
}

/* ---- a panel of queries ---- */

typedef struct panel {
    cpu_attend attend; /* what the kernels see */
    int64_t head, n_queries, width;
    float *queries, *mask; /* scratch; queries also for the result, turned back */
} panel;

/* Panel `index` of a head; T is dealt out to the panels in whole vectors. */
static panel panel_of(const attention *a, int64_t head, int64_t index, cpu_thread *thread) {
    int vector = a->kernels->vector;
    int64_t n_vectors = cpu_divide_up(a->T, vector);
    int64_t first = cpu_share(n_vectors, index, a->n_panels);
    int64_t vectors = cpu_share(n_vectors, index + 1, a->n_panels) - first;
    panel p = {.head = head, .width = vectors * vector, .queries = (float *)thread->scratch};
    p.n_queries = cpu_smaller(p.width, a->T - first * vector);
    float *y = p.queries + (a->D > padded(a->E) ? a->D : padded(a->E)) * p.width;
    float *weights = y + padded(a->E) * p.width;
    p.mask = weights + CPU_ATTEND_KEYS * p.width;
    p.attend = (cpu_attend){.vectors = (int)vectors,
                            .S = a->S,
                            .D = lanes_of(a, a->D),
                            .E = tiled(a->E),
                            .scale = a->attributes->scale,
                            .queries = p.queries,
                            .keys = a->keys + (head - a->first) * a->keys_room,
                            .values = a->values + (head - a->first) * a->values_room,
                            .mask = ref_is_present(&a->mask) ? p.mask : NULL,
                            .causal = a->attributes->causal != 0,
                            .first_query = first * vector,
                            .weights = weights,
                            .references = p.mask + CPU_ATTEND_KEYS * p.width,
                            .sums = p.mask + (CPU_ATTEND_KEYS + 1) * p.width,
                            .y = y};
    return p;
}

static void start(const attention *a, const panel *p) {
    cpu_matrix q = head_of(a->q, p->head, a->heads, p->attend.first_query);
    turn(a, &q, p->n_queries, a->attributes->scale, p->queries, p->width);
    for (int64_t i = 0; i < p->width; i++) {
        p->attend.references[i] = -FLT_MAX;
        p->attend.sums[i] = 0;
    }
    memset(p->attend.y, 0, (size_t)(p->attend.E * p->width) * sizeof(float));
}

static void turn_mask(const attention *a, const panel *p, int64_t first, int64_t n_keys) {
    const sf_tensor_desc *mask = &a->mask;
    int64_t offset = p->head / a->heads * mask->strides[0] + p->head % a->heads * mask->strides[1] +
                     p->attend.first_query * mask->strides[2] + first;
    cpu_matrix m = {.data = (char *)ref_address(mask) + offset * ref_element_bytes(mask->dtype),
                    .dtype = mask->dtype,
                    .row_stride = mask->strides[2]};
    a->kernels->turn(&m, p->n_queries, n_keys, 1, p->mask, p->width);
}

/* Divides by the sums and turns back. Without a key seen that is 0 / 0. */
static void finish(const attention *a, const panel *p) {
    cpu_matrix turned = {.data = p->attend.y, .dtype = SF_F32, .row_stride = p->width};
    cpu_matrix y = head_of(a->y, p->head, a->heads, p->attend.first_query);
    for (int64_t i = 0; i < p->width; i++)
        p->attend.sums[i] = 1 / p->attend.sums[i];
    for (int64_t e = 0; e < a->E; e++)
        for (int64_t i = 0; i < p->width; i++)
            p->attend.y[e * p->width + i] *= p->attend.sums[i];
    a->kernels->turn(&turned, a->E, p->n_queries, 1, p->queries, padded(a->E));
    for (int64_t i = 0; i < p->n_queries; i++)
        a->kernels->narrow(y.dtype, p->queries + i * padded(a->E), row_of(&y, i), a->E);
}

static void attend_item(void *user, int64_t item, cpu_thread *thread) {
    const attention *a = user;
    panel p = panel_of(a, a->first + item / a->n_panels, item % a->n_panels, thread);
    int64_t n_keys = a->S;
    if (p.attend.causal)
        n_keys = cpu_smaller(n_keys, p.attend.first_query + p.n_queries);
    start(a, &p);
    for (int64_t first = 0; first < n_keys; first += CPU_ATTEND_KEYS) {
        int64_t end = cpu_smaller(first + CPU_ATTEND_KEYS, n_keys);
        if (p.attend.mask)
            turn_mask(a, &p, first, end - first);
        if (a->in_bf16)
            a->kernels->attend_bf16(&p.attend, first, end);
        else
            a->kernels->attend(&p.attend, first, end);
    }
    finish(a, &p);
}

/* ---- the entry ---- */

/* The elements of a row lie one after another; rows may lie anywhere. */
static bool has_plain_rows(const sf_tensor_desc *x) {
    int last = x->n_dims - 1;
    return ref_elements(x) == 0 || x->dims[last] == 1 || x->strides[last] == 1;
}

static int supports(const sf_op_call *call) {
    if (!ref_supports_floats(call))
        return 0;
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (ref_is_present(&call->inputs[i]) && !has_plain_rows(&call->inputs[i]))
            return 0;
    attention a = attention_of(call);
    return a.D <= MOST_CHANNELS && a.E <= MOST_CHANNELS;
}

static int64_t heads_at_once(const attention *a) {
    int64_t n_heads = a->y->dims[0] * a->heads;
    uint64_t bytes = ref_add_bytes(ref_room(a->keys_room, sizeof(float)),
                                   ref_room(a->values_room, sizeof(float)));
    uint64_t most = bytes ? MOST_PACKED_BYTES / bytes : 1;
    return cpu_smaller(n_heads, most > 1 ? (int64_t)most : 1);
}

static uint64_t workspace(const sf_op_call *call) {
    attention a = attention_of(call);
    int64_t n_heads = heads_at_once(&a);
    return ref_add_bytes(ref_room(n_heads * a.keys_room, sizeof(float)),
                         ref_room(n_heads * a.values_room, sizeof(float)));
}

static sf_status run(void *instance, const sf_op_call *call) {
    cpu_backend *backend = instance;
    ref_scratch scratch = ref_scratch_of(call);
    attention a = attention_of(call);
    int64_t n_heads = a.y->dims[0] * a.heads, at_once = heads_at_once(&a);
    if (a.S == 0) {
        memset(ref_address(a.y), 0, (size_t)(ref_elements(a.y) * ref_element_bytes(a.y->dtype)));
        return SF_OK;
    }
    a.kernels = backend->kernels;
    a.in_bf16 = a.kernels->attend_bf16 && a.q->dtype == SF_BF16 && a.k->dtype == SF_BF16 &&
                a.v->dtype == SF_BF16;
    a.keys = ref_take(&scratch, at_once * a.keys_room, sizeof(float));
    a.values = ref_take(&scratch, at_once * a.values_room, sizeof(float));
    a.n_panels = cpu_divide_up(a.T, CPU_ATTEND_VECTORS * a.kernels->vector);
    a.n_key_items = cpu_divide_up(a.S, KEYS_OF_ITEM);
    for (; a.first < n_heads; a.first += at_once) {
        int64_t n = cpu_smaller(at_once, n_heads - a.first);
        cpu_parallel(backend, n * a.n_key_items, pack_item, &a);
        cpu_parallel(backend, n * a.n_panels, attend_item, &a);
    }
    return SF_OK;
}

const sf_op_entry cpu_attention = {
    .struct_size = sizeof(sf_op_entry),
    .op = "attention",
    .supports = supports,
    .workspace = workspace,
    .run = run,
};
