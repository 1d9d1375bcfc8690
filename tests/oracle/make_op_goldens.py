"""Goldens for the ops: what PyTorch computes, at odd sizes.

    make_op_goldens.py    writes tests/data/ops/NAME.safetensors, a file an op

Case K of a file is the tensors K.input.J (input J; an absent one is left out), K.output and
K.attributes (the bytes of the op's attribute struct in sfumato_plugin.h, little-endian); the metadata
has K in words. Results are computed in float64 from the inputs as stored and rounded once to the
output's type. The exception is resize: float32, because the type decides which pixels are met.

Sfumato keeps images as N,H,W,C and PyTorch as N,C,H,W: `nhwc` turns inputs and results over; weights
stay O,C,KH,KW. Needs torch and safetensors.
"""
from pathlib import Path
import struct

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "data" / "ops"
F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16
ACTIVATIONS = {
    None: (0, lambda x: x),
    "silu": (1, F.silu),
    "gelu": (2, F.gelu),
    "gelu_tanh": (3, lambda x: F.gelu(x, approximate="tanh")),
    "quick_gelu": (4, lambda x: x * torch.sigmoid(1.702 * x)),
    "relu": (5, F.relu),
    "mish": (6, F.mish),
}
files = {}


def normal(*shape, dtype=F32, scale=1.0):
    return (torch.randn(shape) * scale).to(dtype)


def uniform(low, high, *shape, dtype=F32):
    return (torch.rand(shape) * (high - low) + low).to(dtype)


def wide(x):
    return None if x is None else x.double()


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def nchw(x):
    return None if x is None else x.permute(0, 3, 1, 2)


def case(op, inputs, result, text, attributes=b"", dtype=None):
    """dtype: of the output; that of the first input if not given."""
    tensors, notes = files.setdefault(op, ({}, {}))
    k = len(notes)
    notes[str(k)] = text
    for j, x in enumerate(inputs):
        if x is not None:
            tensors[f"{k}.input.{j}"] = x.contiguous().clone()
    dtype = dtype or inputs[0].dtype
    tensors[f"{k}.output"] = result.to(dtype).contiguous().clone()
    if attributes:
        tensors[f"{k}.attributes"] = torch.tensor(list(attributes), dtype=torch.uint8)


# ---- one number at a time ----

UNARY = {name: (f, -9, 9) for name, (_, f) in ACTIVATIONS.items() if name} | {
    "sigmoid": (torch.sigmoid, -30, 30),
    "tanh": (torch.tanh, -9, 9),
    "exp": (torch.exp, -8, 8),
    "log": (torch.log, 0.001, 50),
    "sqrt": (torch.sqrt, 0, 50),
    "square": (torch.square, -9, 9),
    "sin": (torch.sin, -30, 30),
    "cos": (torch.cos, -30, 30),
}


def unary():
    for op, (f, low, high) in UNARY.items():
        for shape in ((), (1,), (0, 3), (37,), (2, 3, 5), (1, 2, 3, 2, 7)):
            x = uniform(low, high, *shape)
            case(op, [x], f(wide(x)), f"{list(shape)}")
        for dtype in (F16, BF16):
            x = uniform(low, high, 5, 7, dtype=dtype)
            case(op, [x], f(wide(x)), f"[5, 7] {dtype}")
        x = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 60.0, -60.0])
        case(op, [x], f(wide(x)), "NaN, infinities, zeros, large numbers")


def fixed_numbers():
    for scale, shift, shape in ((2.0, 1.0, ()), (-0.5, 0.25, (3, 7)), (5.489980, 0.0, (1, 2, 3, 5))):
        x = normal(*shape)
        s, t = (struct.unpack("<f", struct.pack("<f", v))[0] for v in (scale, shift))
        case("affine", [x], wide(x) * s + t, f"{scale} x + {shift}", struct.pack("<ff", s, t))
    for low, high, shape in ((-1.0, 1.0, (3, 7)), (0.0, float("inf"), (11,)), (0.5, 0.5, ())):
        x = normal(*shape)
        case("clamp", [x], x.clamp(low, high), f"to {low}..{high}", struct.pack("<ff", low, high))
    x = torch.tensor([float("nan"), 2.0, -2.0, float("inf"), -float("inf")])
    case("clamp", [x], x.clamp(-1, 1), "NaN and infinities", struct.pack("<ff", -1, 1))


# ---- two tensors ----


def binary():
    ops = {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div}
    shapes = (
        ((), ()), ((1,), (7,)), ((7, 13), (13,)), ((5, 1), (1, 3)), ((13,), (2, 3, 13)),
        ((2, 5, 3, 7), (2, 1, 1, 7)), ((2, 1, 3, 1, 5), (1, 4, 1, 2, 1)), ((3, 0, 2), (1, 2)),
    )
    for op, f in ops.items():
        for a_shape, b_shape in shapes:
            a, b = normal(*a_shape), uniform(0.5, 2, *b_shape)
            case(op, [a, b], f(wide(a), wide(b)), f"{list(a_shape)} and {list(b_shape)}")
        for a_type, b_type in ((F16, F16), (BF16, F32), (F32, BF16)):
            a, b = normal(3, 5, dtype=a_type), uniform(0.5, 2, 5, dtype=b_type)
            case(op, [a, b], f(wide(a), wide(b)), f"{a_type} and {b_type}")


# ---- sums of products ----


def linear():
    for x_shape, n, bias, residual, name, types in (
        ((1, 1), 1, True, False, None, (F32, F32)),
        ((7,), 5, False, False, None, (F32, F32)),
        ((3, 5), 7, True, False, "silu", (F32, F32)),
        ((2, 3, 13), 11, True, True, "gelu", (F32, F32)),
        ((2, 3, 13), 11, False, True, None, (F32, F32)),
        ((4, 19), 6, True, False, "quick_gelu", (F32, F16)),
        ((4, 19), 6, True, True, "gelu_tanh", (F16, F16)),
        ((4, 19), 6, True, False, "mish", (BF16, F32)),
        ((1, 2, 3, 2, 5), 3, True, False, "relu", (F32, BF16)),
        ((3, 301), 17, True, False, None, (F32, F32)),
        ((0, 5), 3, True, False, None, (F32, F32)),
        ((4, 0), 3, True, False, None, (F32, F32)),
        ((4, 5), 0, False, False, None, (F32, F32)),
    ):
        value, f = ACTIVATIONS[name]
        k = x_shape[-1]
        x = normal(*x_shape, dtype=types[0])
        w = normal(n, k, dtype=types[1], scale=max(k, 1) ** -0.5)
        b = normal(n, dtype=types[1]) if bias else None
        r = normal(*x_shape[:-1], n) if residual else None
        y = f(F.linear(wide(x), wide(w), wide(b)))
        y = y if r is None else y + wide(r)
        case("linear", [x, w, b, r], y, f"{list(x_shape)} to {n}, {name}, {types}",
             struct.pack("<i", value))


def matmul():
    for a_shape, b_shape, turn, scale, dtype in (
        ((1, 1), (1, 1), 0, 1.0, F32),
        ((3, 5), (5, 7), 0, 1.0, F32),
        ((3, 5), (7, 5), 1, 0.5, F32),
        ((2, 13, 6), (1, 6, 11), 0, -2.0, F32),
        ((1, 4, 9), (3, 2, 9), 1, 1.0, F32),
        ((2, 1, 5, 8), (1, 3, 7, 8), 1, 0.125, F16),
        ((2, 3, 1, 5, 4), (2, 1, 2, 4, 3), 0, 1.0, BF16),
        ((3, 0), (0, 2), 0, 1.0, F32),
        ((0, 4), (4, 3), 0, 1.0, F32),
        ((5, 200), (200, 3), 0, 0.0625, F32),
    ):
        a, b = normal(*a_shape, dtype=dtype), normal(*b_shape, dtype=dtype)
        right = wide(b).transpose(-1, -2) if turn else wide(b)
        case("matmul", [a, b], scale * torch.matmul(wide(a), right),
             f"{list(a_shape)} {list(b_shape)} transposed {turn} scale {scale}",
             struct.pack("<fi", scale, turn))


def conv2d():
    for x_shape, o, kernel, stride, dilation, padding, groups, bias, residual, name, types in (
        ((1, 1, 1, 1), 1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1, True, False, None, (F32, F32)),
        ((2, 3, 5, 7), 5, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0), 1, True, True, "silu", (F32, F32)),
        ((1, 5, 6, 3), 4, (1, 1), (2, 2), (1, 1), (0, 0, 0, 0), 1, False, False, None, (F32, F32)),
        ((1, 1, 1, 3), 5, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, False, False, None, (F32, F32)),
        ((2, 5, 7, 3), 5, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, True, False, None, (F32, F32)),
        ((1, 6, 5, 4), 7, (3, 3), (1, 1), (1, 1), (0, 0, 0, 0), 1, True, False, "relu", (F32, F32)),
        ((1, 8, 8, 4), 4, (3, 3), (2, 2), (1, 1), (0, 1, 0, 1), 1, True, False, None, (F32, F32)),
        ((1, 10, 7, 2), 3, (3, 3), (3, 1), (1, 1), (2, 0, 1, 3), 1, True, False, None, (F32, F32)),
        ((1, 7, 9, 3), 4, (3, 3), (1, 2), (2, 3), (2, 2, 3, 0), 1, True, False, "gelu", (F32, F32)),
        ((1, 5, 5, 6), 4, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 2, True, False, None, (F32, F32)),
        ((2, 4, 6, 7), 7, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 7, True, True, "mish", (F32, F32)),
        ((1, 9, 7, 6), 9, (3, 3), (2, 2), (2, 1), (2, 1, 0, 3), 3, False, False, None, (F32, F32)),
        ((1, 6, 9, 3), 4, (5, 5), (1, 1), (1, 1), (2, 2, 2, 2), 1, True, False, None, (F32, F32)),
        ((1, 3, 8, 2), 3, (1, 7), (1, 1), (1, 1), (0, 0, 3, 3), 1, True, False, None, (F32, F32)),
        ((1, 8, 12, 3), 10, (4, 4), (4, 4), (1, 1), (0, 0, 0, 0), 1, True, False, None, (F32, F32)),
        ((1, 4, 5, 6), 6, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, True, True, None, (F32, F16)),
        ((1, 4, 5, 6), 6, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, True, True, "silu", (F16, F16)),
        ((1, 4, 5, 6), 6, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, True, True, None, (BF16, BF16)),
        ((0, 4, 5, 2), 3, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, True, False, None, (F32, F32)),
        ((1, 6, 6, 48), 24, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1, True, False, None, (F32, F16)),
    ):
        value, f = ACTIVATIONS[name]
        c = x_shape[3] // groups
        x = normal(*x_shape, dtype=types[0])
        w = normal(o, c, *kernel, dtype=types[1], scale=(c * kernel[0] * kernel[1]) ** -0.5)
        b = normal(o, dtype=types[1]) if bias else None
        top, bottom, left, right = padding
        padded = F.pad(nchw(wide(x)), (left, right, top, bottom))
        y = nhwc(f(F.conv2d(padded, wide(w), wide(b), stride, 0, dilation, groups)))
        r = normal(*y.shape) if residual else None
        y = y if r is None else y + wide(r)
        case("conv2d", [x, w, b, r], y,
             f"{list(x_shape)} to {o}, {kernel}, stride {stride}, dilation {dilation}, "
             f"padding {padding}, {groups} groups, {name}, {types}",
             struct.pack("<10i", *stride, *dilation, *padding, groups, value))


def attention():
    for b, t, s, heads, d, e, mask, causal, dtype in (
        (1, 1, 1, 1, 1, 1, None, 0, F32),
        (2, 5, 7, 2, 5, 5, None, 0, F32),
        (1, 7, 7, 4, 8, 8, None, 1, F32),
        (1, 3, 5, 1, 4, 4, None, 1, F32),
        (1, 5, 3, 1, 4, 4, None, 1, F32),
        (1, 9, 5, 2, 40, 40, None, 0, F32),
        (1, 3, 4, 1, 64, 64, None, 0, F16),
        (1, 3, 4, 2, 80, 80, None, 0, BF16),
        (1, 2, 3, 1, 160, 160, None, 0, F32),
        (2, 3, 5, 3, 4, 6, None, 0, F32),
        (2, 3, 5, 2, 4, 4, (2, 2, 3, 5), 0, F32),
        (2, 3, 5, 2, 4, 4, (1, 1, 1, 5), 0, F32),
        (2, 3, 5, 2, 4, 4, (2, 1, 1, 5), 0, F32),
        (2, 3, 5, 2, 4, 4, (1, 2, 3, 5), 0, F16),
        (0, 3, 5, 2, 4, 4, None, 0, F32),
        (1, 77, 77, 2, 8, 8, None, 1, F32),
    ):
        q, k = normal(b, t, heads * d, dtype=dtype), normal(b, s, heads * d, dtype=dtype)
        v = normal(b, s, heads * e, dtype=dtype)
        m = None if mask is None else normal(*mask)
        if m is not None:
            m[..., 1] = -float("inf")  # the second key is hidden
        scale = struct.unpack("<f", struct.pack("<f", d**-0.5))[0]
        split = lambda x: wide(x).unflatten(-1, (heads, -1)).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=wide(m),
                                           is_causal=bool(causal), scale=scale)
        case("attention", [q, k, v, m], y.transpose(1, 2).flatten(2),
             f"B {b} T {t} S {s}, {heads} heads of {d} and {e}, mask {mask}, causal {causal}, {dtype}",
             struct.pack("<iif", heads, causal, scale))


def combination():
    for n, shape, dtype in ((1, (), F32), (2, (7,), F32), (4, (2, 3, 5), F16), (8, (1, 13), BF16)):
        c = normal(n)
        xs = [normal(*shape, dtype=dtype) for _ in range(n)]
        y = sum(wide(c)[i] * wide(xs[i]) for i in range(n))
        case("linear_combination", [c, *xs], y, f"{n} of {list(shape)} {dtype}", dtype=dtype)


# ---- over rows and groups ----


def softmax():
    for shape, dtype in (((1,), F32), ((3, 33), F32), ((2, 3, 17), F32), ((5, 1), F32), ((3, 0), F32),
                         ((2, 3, 4, 5), F16), ((4, 7), BF16)):
        x = normal(*shape, dtype=dtype, scale=10)
        case("softmax", [x], torch.softmax(wide(x), -1), f"{list(shape)} {dtype}")
    x = uniform(-1e4, 1e4, 3, 5)
    case("softmax", [x], torch.softmax(wide(x), -1), "large numbers")
    x = normal(4, 7) + 1000
    case("softmax", [x], torch.softmax(wide(x), -1), "a large mean")
    x = torch.tensor([[-float("inf"), 1.0, 2.0], [-float("inf")] * 3, [float("nan"), 0.0, 1.0]])
    case("softmax", [x], torch.softmax(wide(x), -1), "minus infinity and NaN")


def norms():
    for shape, groups, eps, scale, shift, name, dtype in (
        ((1, 2), 1, 1e-5, True, True, None, F32),
        ((2, 3, 5, 7), 1, 1e-5, True, True, None, F32),
        ((2, 3, 5, 7), 7, 1e-6, True, True, "silu", F32),
        ((3, 6), 2, 1e-5, False, False, None, F32),
        ((1, 5, 6), 3, 1e-5, False, True, "relu", F32),
        ((2, 2, 3, 2, 8), 4, 1e-3, True, True, None, F32),
        ((1, 4, 4, 32), 8, 1e-5, True, True, "silu", F16),
        ((1, 3, 3, 6), 2, 1e-5, True, True, None, BF16),
    ):
        value, f = ACTIVATIONS[name]
        x = normal(*shape, dtype=dtype) + 1.5
        w, b = (normal(shape[-1]) if wanted else None for wanted in (scale, shift))
        y = F.group_norm(wide(x).movedim(-1, 1), groups, wide(w), wide(b), eps).movedim(1, -1)
        case("group_norm", [x, w, b], f(y), f"{list(shape)}, {groups} groups, {eps}, {name}, {dtype}",
             struct.pack("<iif", groups, value, eps))
    x = normal(1, 5, 5, 4) * 0.01 + 100
    case("group_norm", [x], F.group_norm(wide(x).movedim(-1, 1), 2, None, None, 1e-6).movedim(1, -1),
         "a large mean", struct.pack("<iif", 2, 0, 1e-6))
    for shape, eps, scale, shift, dtype in (
        ((1,), 1e-5, True, True, F32), ((3, 7), 1e-5, True, True, F32),
        ((2, 3, 13), 1e-6, False, False, F32), ((2, 3, 2, 2, 17), 1e-5, True, False, F32),
        ((0, 4), 1e-5, True, True, F32), ((3, 33), 1e-5, True, True, F16),
        ((3, 8), 1e-5, True, True, BF16),
    ):
        x = normal(*shape, dtype=dtype)
        w, b = (normal(shape[-1]) if wanted else None for wanted in (scale, shift))
        attributes = struct.pack("<iif", 0, 0, eps)
        case("layer_norm", [x, w, b], F.layer_norm(wide(x), shape[-1:], wide(w), wide(b), eps),
             f"{list(shape)}, {eps}, {dtype}", attributes)
        case("rms_norm", [x, w], F.rms_norm(wide(x), shape[-1:], wide(w), eps),
             f"{list(shape)}, {eps}, {dtype}", attributes)


def reductions():
    for shape, axis, dtype in (((1,), 0, F32), ((7,), 0, F32), ((3, 5), 0, F32), ((3, 5), 1, F32),
                               ((2, 3, 5), 1, F32), ((2, 1, 3, 2, 7), 3, F32), ((4, 0), 0, F32),
                               ((3, 0), 1, F32), ((5, 9, 2), 1, F16), ((3, 301), 1, BF16)):
        x = normal(*shape, dtype=dtype)
        attributes = struct.pack("<i", axis)
        case("sum", [x], wide(x).sum(axis, keepdim=True), f"{list(shape)} axis {axis}", attributes)
        case("mean", [x], wide(x).mean(axis, keepdim=True), f"{list(shape)} axis {axis}", attributes)
    for dtype in (F32, F16, BF16):
        x = normal(3, 7, dtype=dtype)
        x[0, 3], x[1, 1], x[2, 6], x[2, 0] = float("nan"), float("inf"), -float("inf"), 6e4
        count = (~torch.isfinite(x)).sum().reshape(1)
        case("count_nonfinite", [x], count, f"{dtype}", dtype=torch.int32)
    case("count_nonfinite", [normal(0)], torch.zeros(1), "nothing", dtype=torch.int32)


# ---- pictures ----


def pictures():
    for shape, size, dtype in (
        ((1, 1, 1, 1), (1, 1), F32), ((1, 2, 3, 5), (4, 6), F32), ((2, 3, 5, 3), (7, 11), F32),
        ((1, 7, 9, 2), (3, 2), F32), ((1, 5, 4, 7), (5, 1), F32), ((1, 1, 13, 1), (13, 1), F32),
        ((1, 10, 41, 1), (3, 29), F32), ((1, 3, 49, 1), (1, 47), F32), ((1, 3, 4, 3), (5, 7), F16),
        ((1, 3, 4, 3), (6, 8), BF16), ((1, 2, 2, 0), (4, 4), F32),
    ):
        x = normal(*shape, dtype=dtype)
        for mode, name in enumerate(("nearest", "bilinear")):
            if 0 in shape:
                y = torch.zeros(shape[0], *size, shape[3])
            else:
                y = nhwc(F.interpolate(nchw(x.float()), size=size, mode=name))
            case("resize", [x], y, f"{list(shape)} to {size}, {name}, {dtype}",
                 struct.pack("<iii", *size, mode))
    for shape, kernel, stride, dtype in (
        ((1, 1, 1, 1), (1, 1), (1, 1), F32), ((2, 5, 7, 5), (2, 2), (2, 2), F32),
        ((1, 5, 6, 7), (3, 2), (1, 2), F32), ((1, 9, 5, 2), (2, 3), (3, 1), F16),
        ((1, 4, 4, 3), (4, 4), (1, 1), BF16), ((0, 4, 4, 3), (2, 2), (2, 2), F32),
    ):
        x = normal(*shape, dtype=dtype)
        y = nhwc(F.avg_pool2d(nchw(wide(x)), kernel, stride))
        case("avg_pool2d", [x], y, f"{list(shape)}, kernel {kernel}, stride {stride}, {dtype}",
             struct.pack("<4i", *kernel, *stride))


# ---- moving data ----


def moving():
    integers = {torch.int32: 2**31, torch.int64: 2**63, torch.uint8: 256}
    whole = lambda dtype, *shape: torch.randint(
        0 if dtype == torch.uint8 else -integers[dtype], integers[dtype] - 1, shape, dtype=dtype)
    plain = [normal(2, 3, 5), normal(7, dtype=F16), normal(3, 1, 2, dtype=BF16), normal(),
             whole(torch.int32, 3, 4), whole(torch.int64, 2, 2, 3), whole(torch.uint8, 2, 1, 2, 3, 2)]
    for x in plain:
        case("copy", [x], x, f"{list(x.shape)} {x.dtype}")
    types = {F32: 1, F16: 2, BF16: 3, torch.int32: 4, torch.int64: 5, torch.uint8: 6}
    for source in (F32, F16, BF16):
        for target in types:
            low, high = (0, 255) if target == torch.uint8 else (-300, 300)
            x = uniform(low, high, 5, 7, dtype=source).clamp(low, high)
            case("cast", [x], x.to(target), f"{source} to {target}", struct.pack("<i", types[target]),
                 dtype=target)
    edges = torch.tensor([65504.0, 65519.0, 65520.0, 6e-8, 2.9e-8, 1e-7, 2.0**-24, 2.0**-25, 1.5 * 2**-25,
                          2049.0, 2051.0, -65536.0, float("inf"), 0.0, -0.0, 6.1e-5, 6.09e-5, 3.4e38])
    for target in (F16, BF16):
        case("cast", [edges], edges.to(target), f"edges to {target}", struct.pack("<i", types[target]),
             dtype=target)
    for source in integers:
        for target in types:
            x = whole(source, 5, 3)
            case("cast", [x], x.to(target), f"{source} to {target}", struct.pack("<i", types[target]),
                 dtype=target)
    for axis, xs in (
        (0, [normal(3)]), (1, [normal(3, 2), normal(3, 7), normal(3, 1)]),
        (3, [normal(2, 3, 5, 7, dtype=F16), normal(2, 3, 5, 4, dtype=F16)]),
        (1, [normal(2, 0, 3), normal(2, 4, 3)]), (0, [whole(torch.int64, 2, 3), whole(torch.int64, 1, 3)]),
        (2, [whole(torch.uint8, 1, 2, 3, 2), whole(torch.uint8, 1, 2, 1, 2)]),
    ):
        case("concat", xs, torch.cat(xs, axis), f"{[list(x.shape) for x in xs]} axis {axis}",
             struct.pack("<i", axis))
    for table, shape, dtype in (
        (normal(1, 1), (1,), torch.int64), (normal(7, 5), (), torch.int64),
        (normal(7, 5), (2, 3), torch.int32), (normal(13), (4,), torch.int64),
        (normal(3, 2, 5, dtype=F16), (2, 3), torch.int64), (normal(7, 5, dtype=BF16), (0,), torch.int64),
        (whole(torch.int64, 5, 3), (4,), torch.int32),
    ):
        ids = torch.randint(0, table.shape[0], shape, dtype=dtype)
        case("embedding", [table, ids], table[ids.long()],
             f"{list(table.shape)} at {list(shape)} {dtype}")
    for shape, dtype in (((2,), F32), ((3, 14), F32), ((1, 2, 3, 2, 10), F32), ((2, 5, 6), F16),
                         ((3, 8), BF16), ((0, 4), F32)):
        x = normal(*shape, dtype=dtype, scale=3)
        value, gate = wide(x).chunk(2, -1)
        case("geglu", [x], value * F.gelu(gate), f"{list(shape)} {dtype}")


def gated():
    for shape, n, biased, dtype in (((1,), 1, True, F32), ((3, 14), 5, True, F32), ((2, 7, 9), 17, False, F32),
                                    ((1, 2, 3, 2, 10), 3, True, F32), ((2, 5, 6), 8, True, F16),
                                    ((3, 8), 4, True, BF16), ((0, 4), 3, True, F32), ((70, 33), 50, True, F32)):
        x, w = normal(*shape, dtype=dtype), normal(2 * n, shape[-1], dtype=dtype)
        b = normal(2 * n, dtype=dtype) if biased else None
        h = F.linear(wide(x), wide(w), wide(b) if biased else None)
        value, gate = h.chunk(2, -1)
        case("linear_geglu", [x, w, b], value * F.gelu(gate), f"{list(shape)} to {n} {dtype}")


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    for make in (unary, fixed_numbers, binary, linear, matmul, conv2d, attention, combination, softmax,
                 norms, reductions, pictures, moving, gated):
        make()
    OUT.mkdir(parents=True, exist_ok=True)
    for op, (tensors, notes) in files.items():
        save_file(tensors, OUT / f"{op}.safetensors", metadata=notes)


if __name__ == "__main__":
    main()
