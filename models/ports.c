/*
 * Ports: checking given tensors and turning them into a graph's inputs. See ports.h.
 */
#include "models/ports.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* Of one dimension: keeps all arithmetic on sizes of images in 32 bits. */
#define MAX_SIZE ((int64_t)1 << 24)

void sf_ports_add(sf_ports *ports, sf_port port) {
    assert(ports->count < SF_MAX_PORTS);
    ports->items[ports->count++] = port;
}

void sf_sizes_set(sf_sizes *sizes, char letter, int64_t size) {
    sizes->of_letter[(unsigned char)letter & 127] = size;
}

/* The size that a port's dimension must have; 0: any. */
static int64_t wanted_size(const sf_sizes *sizes, int64_t dim) {
    if (dim >= 0)
        return dim;
    return -dim == '*' ? 0 : sizes->of_letter[-dim & 127];
}

/* ---- words ---- */

struct words {
    char text[640];
    size_t used;
};

static void say(struct words *words, const char *format, ...) SF_PRINTF(2, 3);

static void say(struct words *words, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(words->text + words->used, sizeof words->text - words->used, format, arguments);
    va_end(arguments);
    size_t room = sizeof words->text - words->used - 1;
    words->used += length < 0 ? 0 : (size_t)length < room ? (size_t)length : room;
}

/* "f32 [2, 4, H, W]" */
static void say_shape(struct words *words, const sf_port *port, const sf_sizes *sizes) {
    say(words, "%s [", sf_dtype_name(port->dtype));
    for (int axis = 0; axis < port->n_dims; axis++) {
        int64_t size = wanted_size(sizes, port->dims[axis]);
        if (size)
            say(words, "%s%lld", axis ? ", " : "", (long long)size);
        else
            say(words, "%s%c", axis ? ", " : "", (int)-port->dims[axis]);
    }
    say(words, "]%s", port->scalar ? " or a scalar" : "");
}

/* All of a component's inputs. */
static void say_ports(struct words *words, const sf_ports *ports) {
    const sf_sizes none = {{0}};
    for (int i = 0; i < ports->count; i++) {
        const sf_port *port = &ports->items[i];
        say(words, "%s%s%s ", i ? ", " : "", port->name, port->count ? ".K" : "");
        say_shape(words, port, &none);
        say(words, "%s", port->optional ? " (optional)" : "");
    }
}

/* ---- checking ---- */

/* NAME, or NAME.0 .. NAME.(count - 1) without leading zeros */
static bool is_name_of(const sf_port *port, const char *name) {
    size_t length = strlen(port->name);
    if (strncmp(name, port->name, length) != 0)
        return false;
    if (!port->count)
        return name[length] == '\0';
    char number[16];
    snprintf(number, sizeof number, ".%ld",
             strtol(name + length + (name[length] == '.'), NULL, 10));
    return strcmp(number, name + length) == 0 && strtol(number + 1, NULL, 10) < port->count &&
           number[1] != '-';
}

static sf_status check_names(sf_context *ctx, const char *owner, const sf_ports *ports,
                             const sf_tensors *given) {
    for (int i = 0; i < sf_tensors_count(given); i++) {
        bool known = false;
        for (int p = 0; p < ports->count; p++)
            known = known || is_name_of(&ports->items[p], sf_tensors_name(given, i));
        if (known)
            continue;
        struct words words = {.used = 0};
        say_ports(&words, ports);
        SF_FAIL(ctx, ERROR_ARGUMENT, "%s has no input \"%.80s\"; it takes %s", owner,
                sf_tensors_name(given, i), words.text);
    }
    return SF_OK;
}

static sf_status fail_shape(sf_context *ctx, const char *owner, const sf_port *port,
                            const char *name, const sf_tensor *tensor, const sf_sizes *sizes) {
    char found[SF_SHAPE_TEXT];
    struct words words = {.used = 0};
    say_shape(&words, port, sizes);
    SF_FAIL(ctx, ERROR_SHAPE, "%s: the input \"%.80s\" is %s %s; %s is wanted", owner, name,
            sf_dtype_name(tensor->dtype), sf_shape_text(tensor->n_dims, tensor->dims, found),
            words.text);
}

static bool has_type(const sf_port *port, const sf_tensor *tensor) {
    if (port->dtype == SF_I64)
        return tensor->dtype == SF_I64 || tensor->dtype == SF_I32;
    return true;
}

static bool stands_for_all(const sf_port *port, const sf_tensor *tensor) {
    return port->scalar && (tensor->n_dims == 0 || (tensor->n_dims == 1 && tensor->dims[0] == 1));
}

/* Checks a tensor's shape and learns the letters from it. */
static sf_status check_shape(sf_context *ctx, const char *owner, const sf_port *port,
                             const char *name, const sf_tensor *tensor, sf_sizes *sizes) {
    bool fits = has_type(port, tensor);
    if (fits && stands_for_all(port, tensor))
        return SF_OK;
    fits = fits && tensor->n_dims == port->n_dims;
    for (int axis = 0; fits && axis < port->n_dims; axis++) {
        int64_t wanted = wanted_size(sizes, port->dims[axis]), size = tensor->dims[axis];
        fits = size >= 1 && size <= MAX_SIZE && (!wanted || size == wanted);
    }
    if (!fits)
        return fail_shape(ctx, owner, port, name, tensor, sizes);
    for (int axis = 0; axis < port->n_dims; axis++)
        if (port->dims[axis] < 0)
            sf_sizes_set(sizes, (char)-port->dims[axis], tensor->dims[axis]);
    return SF_OK;
}

static sf_status check_limit(sf_context *ctx, const char *owner, const sf_bound_input *input) {
    if (!input->port->limit)
        return SF_OK;
    const int64_t *values = input->tensor->data;
    for (int64_t i = 0; i < sf_tensor_n_elements(input->tensor); i++)
        if (values[i] < 0 || values[i] >= input->port->limit)
            SF_FAIL(ctx, ERROR_ARGUMENT,
                    "%s: element %lld of the input \"%s\" is %lld, not within 0 to %lld", owner,
                    (long long)i, input->name, (long long)values[i],
                    (long long)input->port->limit - 1);
    return SF_OK;
}

/* ---- conversion ---- */

static sf_status to_i64(sf_context *ctx, const sf_tensor *tensor, sf_tensor **converted) {
    SF_TRY(sf_tensor_new(ctx, SF_I64, tensor->n_dims, tensor->dims, converted));
    int64_t *values = (*converted)->data;
    for (int64_t i = 0; i < sf_tensor_n_elements(tensor); i++)
        values[i] = ((const int32_t *)tensor->data)[i];
    return SF_OK;
}

/* One number for all, [1]. */
static sf_status to_vector(sf_context *ctx, const sf_tensor *tensor, sf_tensor **converted) {
    SF_TRY(sf_tensor_new(ctx, SF_F32, 1, (const int64_t[]){1}, converted));
    *(float *)(*converted)->data = (float)sf_tensor_get(tensor, 0);
    return SF_OK;
}

static sf_status convert(sf_context *ctx, const sf_port *port, const sf_tensor *tensor,
                         sf_tensor **converted) {
    if (stands_for_all(port, tensor))
        return to_vector(ctx, tensor, converted);
    if (tensor->dtype == port->dtype)
        return SF_OK;
    if (port->dtype == SF_I64)
        return to_i64(ctx, tensor, converted);
    return sf_tensor_to_f32(ctx, tensor, converted);
}

/* ---- binding ---- */

static sf_status append(sf_bound *bound, const sf_bound_input *input) {
    SF_TRY(sf_grow(bound->ctx, (void **)&bound->items, &bound->capacity, bound->count + 1,
                   sizeof *bound->items));
    bound->items[bound->count++] = *input;
    return SF_OK;
}

static sf_status bind(sf_bound *bound, const char *owner, const sf_port *port, const char *name,
                      const sf_tensor *tensor, sf_sizes *sizes) {
    sf_bound_input input = {.name = name, .port = port, .tensor = tensor, .value = SF_NO_VALUE};
    SF_TRY(check_shape(bound->ctx, owner, port, name, tensor, sizes));
    SF_TRY(convert(bound->ctx, port, tensor, &input.converted));
    if (input.converted)
        input.tensor = input.converted;
    input.n_dims = input.tensor->n_dims;
    memcpy(input.dims, input.tensor->dims, sizeof input.dims);
    sf_status status = append(bound, &input);
    if (status != SF_OK)
        sf_tensor_free(input.converted);
    else
        status = check_limit(bound->ctx, owner, &input);
    return status;
}

/* The port's tensors, in the order of their numbers. */
static sf_status bind_port(sf_bound *bound, const char *owner, const sf_port *port,
                           const sf_tensors *given, sf_sizes *sizes) {
    int n_bound = 0, n_wanted = port->count ? port->count : 1;
    for (int k = 0; k < n_wanted; k++) {
        char name[128];
        snprintf(name, sizeof name, port->count ? "%s.%d" : "%s", port->name, k);
        int position = sf_tensors_position(given, name);
        const char *other_type = sf_tensors_skipped(given, name);
        if (position < 0 && other_type)
            SF_FAIL(bound->ctx, ERROR_UNSUPPORTED,
                    "%s: the input \"%s\" has type %s, which is not supported; save it as %s",
                    owner, name, other_type, port->dtype == SF_I64 ? "I64" : "F32");
        if (position < 0)
            continue;
        SF_TRY(bind(bound, owner, port, sf_tensors_name(given, position),
                    sf_tensors_at(given, position), sizes));
        n_bound++;
    }
    if (n_bound == n_wanted || (port->optional && !n_bound))
        return SF_OK;
    struct words words = {.used = 0};
    say_shape(&words, port, sizes);
    if (port->count)
        SF_FAIL(bound->ctx, ERROR_ARGUMENT, "%s: %d of %d inputs %s.K are given", owner, n_bound,
                n_wanted, port->name);
    SF_FAIL(bound->ctx, ERROR_ARGUMENT, "%s: the input \"%s\", %s, is missing", owner, port->name,
            words.text);
}

sf_status sf_bound_given(sf_context *ctx, const char *owner, const sf_ports *ports,
                         const sf_tensors *given, sf_bound *bound) {
    sf_sizes sizes = {{0}};
    bound->ctx = ctx;
    bound->ports = ports;
    SF_TRY(check_names(ctx, owner, ports, given));
    for (int i = 0; i < ports->count; i++)
        SF_TRY(bind_port(bound, owner, &ports->items[i], given, &sizes));
    return SF_OK;
}

sf_status sf_bound_example(sf_context *ctx, const sf_ports *ports, const sf_sizes *sizes,
                           sf_bound *bound) {
    bound->ctx = ctx;
    bound->ports = ports;
    for (int i = 0; i < ports->count; i++) {
        const sf_port *port = &ports->items[i];
        if (port->count || port->no_example)
            continue;
        sf_bound_input input = {
            .name = port->name, .port = port, .n_dims = port->n_dims, .value = SF_NO_VALUE};
        for (int axis = 0; axis < port->n_dims; axis++) {
            int64_t size = wanted_size(sizes, port->dims[axis]);
            input.dims[axis] = size ? size : 1;
        }
        SF_TRY(append(bound, &input));
    }
    return SF_OK;
}

void sf_bound_clear(sf_bound *bound) {
    for (size_t i = 0; i < bound->count; i++)
        sf_tensor_free(bound->items[i].converted);
    sf_free(bound->ctx, bound->items);
    *bound = (sf_bound){0};
}
