/*
 * Calls that occur in Stable Diffusion 1.5 at 512x512 (U-Net and text encoder with batch 1, decoder
 * of the autoencoder), for timing ops alone. See bench.h.
 */
#include "bench/bench.h"

/* x [1, side, side, c_in], weight [c_out, c_in, kernel, kernel], bias [c_out] */
#define CONV(side, c_in, c_out, kernel, ...)                                                       \
    {                                                                                              \
        SF_OP_conv2d,                                                                              \
            {"1x" #side "x" #side "x" #c_in, #c_out "x" #c_in "x" #kernel "x" #kernel, #c_out}, {  \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define CONV3(side, c_in, c_out) CONV(side, c_in, c_out, 3, "padding=1")

/* x [1, rows, k], weight [n, k], bias [n] */
#define LINEAR(rows, k, n)                                                                         \
    {                                                                                              \
        SF_OP_linear, {"1x" #rows "x" #k, #n "x" #k, #n}, {                                        \
            NULL                                                                                   \
        }                                                                                          \
    }

/* q [1, queries, channels], k and v [1, keys, channels] */
#define ATTENTION(queries, keys, channels, ...)                                                    \
    {                                                                                              \
        SF_OP_attention,                                                                           \
            {"1x" #queries "x" #channels, "1x" #keys "x" #channels, "1x" #keys "x" #channels}, {   \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

#define GROUP_NORM(side, channels, ...)                                                            \
    {                                                                                              \
        SF_OP_group_norm, {"1x" #side "x" #side "x" #channels, #channels, #channels}, {            \
            "groups=32", __VA_ARGS__                                                               \
        }                                                                                          \
    }

static const sf_bench_shape shapes[] = {
    /* the U-Net's convolutions, from the outer level inwards */
    CONV3(64, 4, 320),
    CONV3(64, 320, 320),
    CONV3(64, 640, 320),
    CONV3(64, 960, 320),
    CONV3(64, 320, 4),
    CONV3(32, 320, 640),
    CONV3(32, 640, 640),
    CONV3(32, 960, 640),
    CONV3(32, 1280, 640),
    CONV3(32, 1920, 640),
    CONV3(64, 640, 640),
    CONV3(16, 640, 1280),
    CONV3(16, 1280, 1280),
    CONV3(16, 1920, 1280),
    CONV3(16, 2560, 1280),
    CONV3(32, 1280, 1280),
    CONV3(8, 1280, 1280),
    CONV3(8, 2560, 1280),
    CONV(64, 320, 320, 3, "padding=1", "stride=2"),
    CONV(32, 640, 640, 3, "padding=1", "stride=2"),
    CONV(16, 1280, 1280, 3, "padding=1", "stride=2"),
    CONV(64, 960, 320, 1, NULL),
    CONV(32, 1920, 640, 1, NULL),
    CONV(16, 2560, 1280, 1, NULL),
    /* the decoder's */
    CONV3(64, 512, 512),
    CONV3(128, 512, 512),
    CONV3(256, 512, 512),
    CONV3(256, 512, 256),
    CONV3(256, 256, 256),
    CONV3(512, 256, 256),
    CONV3(512, 256, 128),
    CONV3(512, 128, 128),
    CONV3(512, 128, 3),
    /* projections of attention and feed-forward layers, of the time, of the text encoder */
    LINEAR(4096, 320, 320),
    LINEAR(4096, 320, 2560),
    LINEAR(4096, 1280, 320),
    LINEAR(1024, 640, 640),
    LINEAR(1024, 640, 5120),
    LINEAR(1024, 2560, 640),
    LINEAR(256, 1280, 1280),
    LINEAR(256, 1280, 10240),
    LINEAR(256, 5120, 1280),
    LINEAR(77, 768, 320),
    LINEAR(77, 768, 1280),
    LINEAR(1, 1280, 1280),
    LINEAR(77, 768, 768),
    LINEAR(77, 768, 3072),
    LINEAR(77, 3072, 768),
    {SF_OP_matmul, {"8x1024x80", "8x1024x80"}, {"transpose_b=1"}},
    {SF_OP_matmul, {"8x1024x1024", "8x1024x80"}, {NULL}},
    ATTENTION(4096, 4096, 320, "n_heads=8"),
    ATTENTION(4096, 77, 320, "n_heads=8"),
    ATTENTION(1024, 1024, 640, "n_heads=8"),
    ATTENTION(1024, 77, 640, "n_heads=8"),
    ATTENTION(256, 256, 1280, "n_heads=8"),
    ATTENTION(256, 77, 1280, "n_heads=8"),
    ATTENTION(64, 64, 1280, "n_heads=8"),
    ATTENTION(4096, 4096, 512, "n_heads=1"),
    ATTENTION(77, 77, 768, "n_heads=12", "causal=1"),
    GROUP_NORM(64, 320, "activation=silu"),
    GROUP_NORM(64, 960, "activation=silu"),
    GROUP_NORM(64, 320, NULL),
    GROUP_NORM(32, 640, "activation=silu"),
    GROUP_NORM(16, 1280, "activation=silu"),
    GROUP_NORM(512, 128, "activation=silu"),
    {SF_OP_layer_norm, {"1x4096x320", "320", "320"}, {NULL}},
    {SF_OP_layer_norm, {"1x1024x640", "640", "640"}, {NULL}},
    {SF_OP_layer_norm, {"1x77x768", "768", "768"}, {NULL}},
    {SF_OP_softmax, {"8x1024x1024"}, {NULL}},
    {SF_OP_geglu, {"1x4096x2560"}, {NULL}},
    {SF_OP_geglu, {"1x1024x5120"}, {NULL}},
    {SF_OP_silu, {"1x64x64x320"}, {NULL}},
    {SF_OP_gelu, {"1x4096x1280"}, {NULL}},
    {SF_OP_quick_gelu, {"1x77x3072"}, {NULL}},
    {SF_OP_add, {"1x64x64x320", "1x64x64x320"}, {NULL}},
    {SF_OP_add, {"1x64x64x320", "1x1x1x320"}, {NULL}},
    {SF_OP_multiply, {"1x64x64x320", "1x64x64x320"}, {NULL}},
    {SF_OP_linear_combination, {"2", "1x4x64x64", "1x4x64x64"}, {NULL}},
    {SF_OP_resize, {"1x32x32x640"}, {"height=64", "width=64"}},
    {SF_OP_resize, {"1x256x256x256"}, {"height=512", "width=512"}},
    {SF_OP_concat, {"1x64x64x320", "1x64x64x320"}, {"axis=3"}},
    {SF_OP_concat, {"1x32x32x1280", "1x32x32x640"}, {"axis=3"}},
    {SF_OP_copy, {"1x64x64x320"}, {NULL}},
    {SF_OP_cast, {"1x64x64x320"}, {"dtype=f16"}},
    {SF_OP_embedding, {"49408x768", "1x77"}, {NULL}},
};

const sf_bench_shape *sf_bench_shapes(int *n_shapes) {
    *n_shapes = (int)(sizeof shapes / sizeof *shapes);
    return shapes;
}
