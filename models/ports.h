/*
 * The inputs of a component: what it takes from outside, checking of what it is given, and the same
 * as values of a graph.
 *
 * A port has a name, a type and a shape in which a letter stands for any size, the same wherever
 * the letter occurs: sample [N, 4, H, W], timestep [N]. Tensors given are in PyTorch's order.
 */
#ifndef SF_MODELS_PORTS_H
#define SF_MODELS_PORTS_H

#include "core/graph.h"

#define SF_MAX_PORTS 12

/* Any size, of one letter; '*' may differ each time. */
#define SF_ANY(letter)    (-(int64_t)(letter))
#define SF_PORT_DIMS(...) .n_dims = SF_COUNT_(__VA_ARGS__), .dims = {__VA_ARGS__}

typedef struct sf_port {
    const char *name;
    sf_dtype dtype; /* SF_F32: numbers of any type are converted. SF_I64: so is i32 */
    int n_dims;
    int64_t dims[SF_MAX_DIMS]; /* sizes or SF_ANY() */
    int count; /* a list NAME.0 .. NAME.(count - 1), all or none of it; 0: one tensor */
    bool optional;
    bool no_example; /* left out of sf_bound_example(), as lists are */
    bool scalar;     /* [] and [1] are taken too, for all N; both become [1] */
    int64_t limit;   /* integers are 0 .. limit - 1; 0: any */
} sf_port;

typedef struct sf_ports {
    int count;
    sf_port items[SF_MAX_PORTS];
} sf_ports;

void sf_ports_add(sf_ports *ports, sf_port port);

/* What the letters stand for; 0: not known yet. */
typedef struct sf_sizes {
    int64_t of_letter[128];
} sf_sizes;

void sf_sizes_set(sf_sizes *sizes, char letter, int64_t size);

/* An input that is there. */
typedef struct sf_bound_input {
    const char *name; /* borrowed */
    const sf_port *port;
    const sf_tensor *tensor; /* of the port's type; NULL in an example */
    sf_tensor *converted;    /* owned; NULL: tensor is the caller's */
    int n_dims;
    int64_t dims[SF_MAX_DIMS];
    sf_value value;
} sf_bound_input;

typedef struct sf_bound {
    sf_context *ctx;       /* borrowed */
    const sf_ports *ports; /* borrowed */
    sf_bound_input *items; /* owned */
    size_t count, capacity;
} sf_bound;

/*
 * Checks and converts given tensors. An error says which input is wrong and what is wanted; owner
 * names the component. bound starts as zeros and is cleared by the caller in any case.
 */
sf_status sf_bound_given(sf_context *ctx, const char *owner, const sf_ports *ports,
                         const sf_tensors *given, sf_bound *bound);

/* The inputs at small sizes: letters that sizes does not know are 1. Without tensors. */
sf_status sf_bound_example(sf_context *ctx, const sf_ports *ports, const sf_sizes *sizes,
                           sf_bound *bound);

void sf_bound_clear(sf_bound *bound);

/* Adds all inputs to graph. */
void sf_bound_add_inputs(sf_bound *bound, sf_graph *graph);

/* An input's value and tensor; SF_NO_VALUE and NULL where it is not given. */
sf_value sf_bound_value(const sf_bound *bound, const char *name);
const sf_tensor *sf_bound_tensor(const sf_bound *bound, const char *name);

/* The values NAME.0 .. of a list; gives how many there are, at most max. */
int sf_bound_list(const sf_bound *bound, const char *name, sf_value *values, int max);

/* An image as it comes, [N, C, H, W], as models use it: [N, H, W, C] of type compute. */
sf_value sf_image_in(sf_graph *graph, sf_value image, sf_dtype compute);
/* And back, f32, as an output. */
void sf_image_out(sf_graph *graph, const char *name, sf_value image);

/* The output NAME.number. */
void sf_output_numbered(sf_graph *graph, const char *name, int number, sf_value value);

#endif
