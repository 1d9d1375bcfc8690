/*
 * Attributes of ops as text: "padding=1", "stride=2x1", "activation=silu". See bench.h.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef enum value_kind { INTEGER, REAL, ACTIVATION, TYPE, MODE } value_kind;

/* One attribute of one op: `count` values of 4 bytes at offset in sf_attributes. */
typedef struct attribute {
    sf_op_id op;
    const char *name;
    value_kind kind;
    size_t offset;
    int count;
    double initial;
} attribute;

#define AT(member) offsetof(sf_attributes, member)

static const attribute attributes[] = {
    {SF_OP_conv2d, "stride", INTEGER, AT(conv2d.stride), 2, 1},
    {SF_OP_conv2d, "dilation", INTEGER, AT(conv2d.dilation), 2, 1},
    {SF_OP_conv2d, "padding", INTEGER, AT(conv2d.padding), 4, 0},
    {SF_OP_conv2d, "groups", INTEGER, AT(conv2d.groups), 1, 1},
    {SF_OP_conv2d, "activation", ACTIVATION, AT(conv2d.activation), 1, 0},
    {SF_OP_linear, "activation", ACTIVATION, AT(linear.activation), 1, 0},
    {SF_OP_matmul, "scale", REAL, AT(matmul.scale), 1, 1},
    {SF_OP_matmul, "transpose_b", INTEGER, AT(matmul.transpose_b), 1, 0},
    {SF_OP_attention, "n_heads", INTEGER, AT(attention.n_heads), 1, 1},
    {SF_OP_attention, "causal", INTEGER, AT(attention.causal), 1, 0},
    {SF_OP_attention, "scale", REAL, AT(attention.scale), 1, 0.125},
    {SF_OP_group_norm, "groups", INTEGER, AT(norm.groups), 1, 32},
    {SF_OP_group_norm, "activation", ACTIVATION, AT(norm.activation), 1, 0},
    {SF_OP_group_norm, "epsilon", REAL, AT(norm.epsilon), 1, 1e-5},
    {SF_OP_layer_norm, "activation", ACTIVATION, AT(norm.activation), 1, 0},
    {SF_OP_layer_norm, "epsilon", REAL, AT(norm.epsilon), 1, 1e-5},
    {SF_OP_rms_norm, "activation", ACTIVATION, AT(norm.activation), 1, 0},
    {SF_OP_rms_norm, "epsilon", REAL, AT(norm.epsilon), 1, 1e-5},
    {SF_OP_sum, "axis", INTEGER, AT(axis.axis), 1, 0},
    {SF_OP_mean, "axis", INTEGER, AT(axis.axis), 1, 0},
    {SF_OP_concat, "axis", INTEGER, AT(axis.axis), 1, 0},
    {SF_OP_clamp, "low", REAL, AT(range.low), 1, -1},
    {SF_OP_clamp, "high", REAL, AT(range.high), 1, 1},
    {SF_OP_affine, "scale", REAL, AT(affine.scale), 1, 2},
    {SF_OP_affine, "shift", REAL, AT(affine.shift), 1, 1},
    {SF_OP_resize, "height", INTEGER, AT(resize.height), 1, 64},
    {SF_OP_resize, "width", INTEGER, AT(resize.width), 1, 64},
    {SF_OP_resize, "mode", MODE, AT(resize.mode), 1, SF_RESIZE_NEAREST},
    {SF_OP_avg_pool2d, "kernel", INTEGER, AT(pool2d.kernel), 2, 2},
    {SF_OP_avg_pool2d, "stride", INTEGER, AT(pool2d.stride), 2, 2},
    {SF_OP_cast, "dtype", TYPE, AT(type.dtype), 1, SF_F16},
};
#define N_ATTRIBUTES (sizeof attributes / sizeof *attributes)

static void put(const attribute *a, int index, double value, sf_attributes *to) {
    unsigned char *at = to->bytes + a->offset + 4 * (size_t)index;
    const float real = (float)value;
    const int32_t integer = a->kind == REAL ? 0 : (int32_t)value;
    memcpy(at, a->kind == REAL ? (const void *)&real : (const void *)&integer, 4);
}

void sf_bench_default_attributes(sf_op_id op, sf_attributes *to) {
    memset(to, 0, sizeof *to);
    for (size_t i = 0; i < N_ATTRIBUTES; i++)
        for (int k = 0; attributes[i].op == op && k < attributes[i].count; k++)
            put(&attributes[i], k, attributes[i].initial, to);
}

/* ---- reading ---- */

/* The number that a word stands for; negative: it stands for none. */
static int read_word(value_kind kind, const char *word) {
    static const char *const modes[] = {"nearest", "bilinear"};
    for (int i = 0; kind == MODE && i < 2; i++)
        if (strcmp(word, modes[i]) == 0)
            return i;
    for (int type = SF_F32; kind == TYPE && type <= SF_U8; type++)
        if (strcmp(word, sf_dtype_name((sf_dtype)type)) == 0)
            return type;
    sf_op_id op = kind == ACTIVATION ? sf_op_find(word) : SF_OP_COUNT;
    sf_activation activation = op == SF_OP_COUNT ? SF_ACTIVATION_NONE : sf_op_activation(op);
    return activation == SF_ACTIVATION_NONE ? -1 : (int)activation;
}

/* One number, whole where it must be, that ends at `x` or the text's end. */
static bool read_number(const attribute *a, const char **text, double *value) {
    char *end;
    long integer = strtol(*text, &end, 10);
    *value = (double)integer;
    if (a->kind == REAL)
        *value = strtod(*text, &end);
    bool fits = end != *text && (*end == '\0' || *end == 'x') && *value >= -1e9 && *value <= 1e9;
    *text = *end == 'x' ? end + 1 : end;
    return fits;
}

/* One value for all, or as many as there are. */
static bool read_values(const attribute *a, const char *text, sf_attributes *to) {
    double values[4];
    int n = 0;
    if (a->kind == INTEGER || a->kind == REAL) {
        for (bool more = true; more; n++) {
            more = strchr(text, 'x') != NULL;
            if (n == a->count || !read_number(a, &text, &values[n]))
                return false;
        }
    } else {
        values[n++] = read_word(a->kind, text);
    }
    if (values[0] < 0 && a->kind != INTEGER && a->kind != REAL)
        return false;
    if (n != 1 && n != a->count)
        return false;
    for (int i = 0; i < a->count; i++)
        put(a, i, values[n == 1 ? 0 : i], to);
    return true;
}

static sf_status fail_value(sf_context *ctx, const attribute *a, const char *text) {
    static const char *const wanted[] = {[INTEGER] = "a whole number",
                                         [REAL] = "a number",
                                         [ACTIVATION] = "an activation, such as silu",
                                         [TYPE] = "an element type, such as f16",
                                         [MODE] = "nearest or bilinear"};
    char several[64] = "";
    if (a->count > 1)
        snprintf(several, sizeof several, ", or %d with 'x' between", a->count);
    SF_FAIL(ctx, ERROR_ARGUMENT, "the attribute \"%.64s\" is not %s= and %s%s", text, a->name,
            wanted[a->kind], several);
}

static sf_status fail_name(sf_context *ctx, sf_op_id op, const char *text) {
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < N_ATTRIBUTES; i++)
        if (attributes[i].op == op && used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                     attributes[i].name);
    SF_FAIL(ctx, ERROR_ARGUMENT, "%s has no attribute \"%.64s\"; it has %s", sf_op_get(op)->name,
            text, known[0] ? known : "none");
}

sf_status sf_bench_read_attribute(sf_context *ctx, sf_op_id op, const char *text,
                                  sf_attributes *to) {
    size_t length = strcspn(text, "=");
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        const attribute *a = &attributes[i];
        if (a->op != op || strlen(a->name) != length || strncmp(a->name, text, length) != 0)
            continue;
        if (text[length] != '=' || !read_values(a, text + length + 1, to))
            return fail_value(ctx, a, text);
        return SF_OK;
    }
    return fail_name(ctx, op, text);
}
