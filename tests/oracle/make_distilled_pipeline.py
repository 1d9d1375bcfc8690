"""Makes a pipeline whose U-Net takes the guidance scale as an input, and pictures drawn with it.

Usage: make_distilled_pipeline.py TINY_FOLDER OUTPUT_FOLDER

OUTPUT_FOLDER (tests/data/pipelines/distilled) has what differs from the tiny pipeline (TINY_FOLDER, see
make_tiny_pipeline.py): the U-Net's configuration and one more shard, the scheduler, model_index.json. A copy of
the tiny one with these over it is a whole model. Beside them: golden.png, one sheet of all pictures; cases.json,
which says how each was drawn; embeddings.safetensors, diffusers' guidance embeddings, named SCALE/CHANNELS.
Versions: requirements.txt. Everything in f32 on the CPU.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import safetensors.torch
import torch
from diffusers import (EulerDiscreteScheduler, LatentConsistencyModelPipeline, LCMScheduler,
                       StableDiffusionPipeline, UNet2DConditionModel)
from PIL import Image

CHANNELS = 9  # odd: the last one of the embedding is 0
COLUMNS, SIDE = 4, 16
PROMPT = "a tiny red apple"
INDEX = "diffusion_pytorch_model.safetensors.index.json"
SHARD = "guidance.safetensors"

LCM, SD = LatentConsistencyModelPipeline, StableDiffusionPipeline
# (class, scheduler, options of it, steps, guidance scale)
CASES = [
    *((LCM, LCMScheduler, {}, steps, scale) for scale in (8.4, 1.5) for steps in (1, 2, 4, 8)),
    (LCM, LCMScheduler, dict(original_inference_steps=100), 4, 8.5),
    (LCM, LCMScheduler, dict(clip_sample=True), 4, 8.5),
    (SD, LCMScheduler, dict(clip_sample=True), 4, 8.5),
    (SD, EulerDiscreteScheduler, dict(timestep_spacing="trailing"), 5, 7.6),
]
EMBEDDINGS = [(8.5, 256), (7.3, 256), (1.0, 512), (0.0, 8), (8.4, CHANNELS), (12.1, 5), (3.7, 1)]


def write_unet(tiny, folder):
    """The tiny U-Net with time_embedding.cond_proj, whose weight is a shard of its own."""
    folder.mkdir(parents=True)
    config = json.loads((tiny / "config.json").read_text())
    index = json.loads((tiny / INDEX).read_text())
    width = config["block_out_channels"][0]
    weight = torch.randn(width, CHANNELS, generator=torch.Generator().manual_seed(5)) * 0.5
    safetensors.torch.save_file({"time_embedding.cond_proj.weight": weight}, folder / SHARD)
    config["time_cond_proj_dim"] = CHANNELS
    index["weight_map"]["time_embedding.cond_proj.weight"] = SHARD
    index["metadata"]["total_size"] += 4 * weight.numel()
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / INDEX).write_text(json.dumps(index, separators=(",", ":")) + "\n")


def write_model(tiny, output):
    write_unet(tiny / "unet", output / "unet")
    LCMScheduler(original_inference_steps=50).save_pretrained(output / "scheduler")
    index = json.loads((tiny / "model_index.json").read_text())
    index["_class_name"] = "LatentConsistencyModelPipeline"
    index["scheduler"] = ["diffusers", "LCMScheduler"]
    (output / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def load(tiny, output):
    """The parts of the whole model, as diffusers reads them."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(tiny, folder, dirs_exist_ok=True)
        shutil.copytree(output, folder, dirs_exist_ok=True)
        pipe = LCM.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
        # Every weight must come from a file: one that is missing would be made up.
        unet, info = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", output_loading_info=True)
        assert not any(info.values()), info
    return pipe.components


def draw(parts, name, scheduler, options, steps, scale, seed):
    parts = dict(parts, scheduler=scheduler.from_config(parts["scheduler"].config, **options))
    if name is LCM:
        pipe = LCM(**parts, requires_safety_checker=False)
    else:
        pipe = SD(**parts, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe(PROMPT, num_inference_steps=steps, guidance_scale=scale,
                generator=torch.Generator("cpu").manual_seed(seed)).images[0]


def draw_all(parts, output):
    rows = -(-len(CASES) // COLUMNS)
    sheet, cases = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE)), []
    for i, (name, scheduler, options, steps, scale) in enumerate(CASES):
        x, y = i % COLUMNS * SIDE, i // COLUMNS * SIDE
        sheet.paste(draw(parts, name, scheduler, options, steps, scale, 20 + i), (x, y))
        cases.append({"class": name.__name__, "scheduler": scheduler.__name__, "options": options,
                      "steps": steps, "guidance_scale": scale, "seed": 20 + i, "x": x, "y": y})
    sheet.save(output / "golden.png", optimize=True)
    (output / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


def write_embeddings(parts, output):
    pipe = LCM(**parts, requires_safety_checker=False)
    found = {}
    for scale, channels in EMBEDDINGS:
        w = torch.tensor(scale - 1).repeat(1)
        found[f"{scale}/{channels}"] = pipe.get_guidance_scale_embedding(w, embedding_dim=channels)[0]
    safetensors.torch.save_file(found, output / "embeddings.safetensors")


def main():
    tiny, output = map(pathlib.Path, sys.argv[1:])
    write_model(tiny, output)
    parts = load(tiny, output)
    draw_all(parts, output)
    write_embeddings(parts, output)


if __name__ == "__main__":
    main()
