"""Goldens for files: safetensors by the reference implementation, PNG text by Pillow, parameter texts
by the regular expression of stable-diffusion-webui.

    make_io_goldens.py            writes tests/data/io/
    make_io_goldens.py --check F  reads F/out.safetensors and F/out.png, which are the goldens
                                  all_types.safetensors and pillow.png loaded and saved by Sfumato
"""
import json
import random
import re
import sys
from pathlib import Path

import numpy as np
import safetensors
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "data" / "io"
TYPES = {
    "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i32": torch.int32,
    "i64": torch.int64, "u8": torch.uint8,
}
TEXTS = {
    "parameters": "a red apple\nNegative prompt: blurry\nSteps: 20, Sampler: Euler, CFG scale: 7.5",
    "latin1": "caf\u00e9 \u00ff",
    "unicode": "\u8d64\u3044\u308a\u3093\u3054 \U0001f34e",
}


def tensors():
    """values 0..23 in every type, shaped [2, 3, 4]; a scalar; an empty tensor."""
    named = {name: torch.arange(24).reshape(2, 3, 4).to(dtype) for name, dtype in TYPES.items()}
    named["scalar"] = torch.tensor(2.5)
    named["empty"] = torch.zeros(0, 3)
    return named


def write_safetensors():
    save_file(tensors(), OUT / "all_types.safetensors", metadata={"format": "pt", "note": "caf\u00e9 \"x\""})
    wider = {"f64": torch.arange(3, dtype=torch.float64), "f8": torch.ones(5).to(torch.float8_e4m3fn),
             "flag": torch.tensor([True, False]), "weight": torch.arange(4, dtype=torch.float32)}
    save_file(wider, OUT / "other_types.safetensors")
    weight_map = {}
    for i, names in enumerate((("a.weight", "a.bias"), ("b.weight",)), 1):
        file = f"model-0000{i}-of-00002.safetensors"
        save_file({n: torch.full((2, 2), float(len(weight_map) + k)) for k, n in enumerate(names)}, OUT / file)
        weight_map.update({n: file for n in names})
    index = {"metadata": {"total_size": 48}, "weight_map": weight_map}
    (OUT / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def write_png():
    info = PngInfo()
    for key, value in TEXTS.items():
        info.add_text(key, value)
    info.add_text("packed", "z" * 1000, zip=True)
    pixels = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(4, 5, 3)
    Image.fromarray(pixels).save(OUT / "pillow.png", pnginfo=info)


# The behaviour of stable-diffusion-webui's reader, in words of our own; the expression is its format.
PARAMETER = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
NEGATIVE = "Negative prompt:"


def decoded(value):
    """A JSON string's content; any other text as it is."""
    if value.startswith('"') and value.endswith('"'):
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value


def join_lines(lines):
    """Lines with newlines between, where nothing precedes the first line that is not empty."""
    joined = ""
    for line in lines:
        joined = f"{joined}\n{line}" if joined else line
    return joined


def parse(text):
    body, _, last = text.strip().rpartition("\n")
    found = PARAMETER.findall(last)
    if len(found) < 3:
        body, found = text.strip(), []
    lines = [line.strip() for line in body.split("\n")]
    first = next((i for i, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = [line.removeprefix(NEGATIVE).strip() for line in lines[first:]]
    items = {key: decoded(value) for key, value in found if value}
    return {"text": text, "prompt": join_lines(lines[:first]), "negative": join_lines(negative),
            "items": items}


def parameter_texts():
    yield TEXTS["parameters"]
    yield ("portrait, (detailed:1.2)\nsecond line\nNegative prompt: bad hands, \nlow quality\n"
           "Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1234567890, "
           "Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned, Clip skip: 2, "
           'Lora hashes: "a: 0123, b: 4567", Wildcard prompt: "say \\"hi\\"\\n, x", Version: v1.10.1')
    yield "only a prompt"
    yield ""
    yield "Steps: 20, Seed: 1"
    yield "Steps: 20, Sampler: Euler, Seed: 1"
    yield "Negative prompt: all of it"
    yield "x\nNegative prompt: one\nNegative prompt: two\nSteps: 1, Sampler: a, Seed: 2"
    yield "x\nSteps: 1, Sampler: , Seed: 2, Size: 4x4, -dash: 1, a: b, ab: c"
    yield 'x\nSteps: "unclosed, Sampler: "", Seed: "", Three: """, Four: "\\x", Five: "ok" , Six: "a"b, Se ven: 7'
    yield "x\n  Steps:20,Sampler:Euler,Seed:1,,  Steps: 21, A/b-c d: e:f, "
    yield "  spaced  \n\n  lines \n\nSteps: 1, Sampler: a, Seed: 2  \n\n"
    yield "x\r\nNegative prompt: y\r\nSteps: 1, Sampler: a, Seed: 2\r\n"
    rng = random.Random(7)
    pieces = ["Steps", "Seed", ": ", ":", ", ", ",", '"', "\\", "\\n", " ", "\n", "a", "-", "/", "_", "7", "x",
              "Negative prompt:", "\u00e9", "(", "ab: c, ", 'k k: "v, w", ', "\t"]
    for _ in range(60):
        yield "".join(rng.choice(pieces) for _ in range(rng.randrange(5, 60)))


def write_parameters():
    cases = [parse(text) for text in parameter_texts()]
    (OUT / "parameters.json").write_text(json.dumps({"cases": cases}, indent=0) + "\n")


def check(folder):
    with safetensors.safe_open(folder / "out.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "note": "caf\u00e9 \"x\""}, file.metadata()
        expected = tensors()
        assert sorted(file.keys()) == sorted(expected)
        for name, tensor in expected.items():
            found = file.get_tensor(name)
            assert found.dtype == tensor.dtype and found.shape == tensor.shape, name
            assert torch.equal(found, tensor), name
    image = Image.open(folder / "out.png")
    image.load()
    golden = Image.open(OUT / "pillow.png")
    golden.load()
    assert image.mode == "RGB" and np.array_equal(np.array(image), np.array(golden))
    assert dict(image.text) == dict(golden.text), image.text
    for name in TEXTS:
        assert type(image.text[name]) is type(golden.text[name]), name  # tEXt or iTXt, as Pillow
    print("out.safetensors and out.png agree")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        check(Path(sys.argv[2]))
    else:
        OUT.mkdir(parents=True, exist_ok=True)
        write_safetensors()
        write_png()
        write_parameters()
