"""Draws pictures with diffusers' StableDiffusionPipeline for tests/pipelines/test_text2img.c.

Usage: make_pipeline_goldens.py MODEL_FOLDER OUTPUT_FOLDER

Writes one PNG sheet a sampler (row-major, ten pictures in two rows), one of all other samplers, and
cases.json, which says how each picture was drawn. Versions: requirements.txt. Everything in f32 on the CPU.
"""
import json
import pathlib
import sys

import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DEISMultistepScheduler,
                       DPMSolverMultistepScheduler, DPMSolverSDEScheduler,
                       DPMSolverSinglestepScheduler,
                       EulerAncestralDiscreteScheduler, EulerDiscreteScheduler,
                       HeunDiscreteScheduler, KDPM2AncestralDiscreteScheduler,
                       KDPM2DiscreteScheduler, LCMScheduler, LMSDiscreteScheduler, PNDMScheduler,
                       SASolverScheduler, StableDiffusionPipeline, TCDScheduler,
                       UniPCMultistepScheduler)
from PIL import Image

PROMPTS = ["a red apple", "cat face", "rocket", "blue heart", "penguin",
           "pizza", "tiger face", "robot", "rainbow", "a dog"]
SAMPLERS = {"ddim": DDIMScheduler, "ddpm": DDPMScheduler, "euler": EulerDiscreteScheduler}
STEPS = 8
GUIDANCE = 4.0

# Other settings, a picture each: (name, sampler, keyword arguments of the pipeline, scheduler options)
OTHERS = [
    ("negative", "ddim", dict(prompt="green apple", negative_prompt="red", num_inference_steps=12,
                              guidance_scale=5.0, seed=1234), {}),
    ("eta", "ddim", dict(prompt="snowman", num_inference_steps=9, guidance_scale=3.0, eta=0.7,
                         seed=7), {}),
    ("no_guidance", "euler", dict(prompt="hot beverage", num_inference_steps=7, guidance_scale=1.0,
                                  seed=3), {}),
    ("wide", "euler", dict(prompt="automobile", num_inference_steps=6, guidance_scale=4.0, width=96,
                           height=48, seed=11), {}),
    ("odd", "ddim", dict(prompt="unicorn", num_inference_steps=5, guidance_scale=4.0, width=72,
                         height=88, seed=12), {}),
    ("karras", "euler", dict(prompt="cat face", num_inference_steps=10, guidance_scale=4.0, seed=5),
     dict(use_karras_sigmas=True)),
    ("large_seed", "ddim", dict(prompt="penguin", num_inference_steps=6, guidance_scale=4.0,
                                seed=2**32 + 5), {}),
    ("empty", "ddim", dict(prompt="", num_inference_steps=6, guidance_scale=2.0, seed=2), {}),
    ("rescaled", "ddim", dict(prompt="a red apple", num_inference_steps=8, guidance_scale=8.0,
                              guidance_rescale=0.7, seed=6), {}),
]

# The other samplers, a picture each of one prompt and seed: (scheduler, its options).
NOISE = dict(algorithm_type="dpmsolver", final_sigmas_type="sigma_min")
REST = {
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "dpm2": (KDPM2DiscreteScheduler, {}),
    "dpm2_a": (KDPM2AncestralDiscreteScheduler, {}),
    "lms": (LMSDiscreteScheduler, {}),
    "dpmpp_2m": (DPMSolverMultistepScheduler, dict(use_karras_sigmas=True)),
    "dpmpp_2m_sde": (DPMSolverMultistepScheduler, dict(algorithm_type="sde-dpmsolver++")),
    "dpmpp_3m": (DPMSolverMultistepScheduler, dict(solver_order=3)),
    "dpm_2m": (DPMSolverMultistepScheduler, NOISE),
    "dpmpp_2s": (DPMSolverSinglestepScheduler, {}),
    "unipc": (UniPCMultistepScheduler, {}),
    "deis": (DEISMultistepScheduler, {}),
    "sa_solver": (SASolverScheduler, {}),
    "pndm": (PNDMScheduler, {}),
    "plms": (PNDMScheduler, dict(skip_prk_steps=True)),
    "lcm": (LCMScheduler, {}),
    "tcd": (TCDScheduler, {}),
    "dpmpp_sde": (DPMSolverSDEScheduler, dict(noise_sampler_seed=42)),
}


def draw_rest(pipe, output, cases):
    sheet = Image.new("RGB", (6 * 64, 3 * 64))
    for i, (name, (scheduler, options)) in enumerate(REST.items()):
        image = draw(pipe, scheduler, options, 42, prompt="a red apple", num_inference_steps=10,
                     guidance_scale=GUIDANCE)
        x, y = i % 6 * 64, i // 6 * 64
        sheet.paste(image, (x, y))
        cases.append(dict(file="samplers.png", x=x, y=y, width=64, height=64, sampler=name,
                          schedule="karras" if "use_karras_sigmas" in options else None,
                          prompt="a red apple", negative_prompt="", steps=10,
                          guidance_scale=GUIDANCE, eta=0.0, seed="42"))
    sheet.save(output / "samplers.png", optimize=True)


def draw(pipe, scheduler, options, seed, **arguments):
    pipe.scheduler = scheduler.from_config(pipe.original_config, **options)
    generator = torch.Generator("cpu").manual_seed(seed)
    return pipe(generator=generator, **arguments).images[0]


def main():
    model, output = sys.argv[1], pathlib.Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    pipe = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    pipe.original_config = pipe.scheduler.config
    cases = []
    for name, scheduler in SAMPLERS.items():
        sheet = Image.new("RGB", (5 * 64, 2 * 64))
        for seed, prompt in enumerate(PROMPTS):
            image = draw(pipe, scheduler, {}, seed, prompt=prompt, num_inference_steps=STEPS,
                         guidance_scale=GUIDANCE)
            x, y = seed % 5 * 64, seed // 5 * 64
            sheet.paste(image, (x, y))
            cases.append(dict(file=f"{name}.png", x=x, y=y, width=64, height=64, sampler=name,
                              schedule=None, prompt=prompt, negative_prompt="", steps=STEPS,
                              guidance_scale=GUIDANCE, eta=0.0, seed=str(seed)))
        sheet.save(output / f"{name}.png", optimize=True)
    for name, sampler, arguments, options in OTHERS:
        seed = arguments.pop("seed")
        image = draw(pipe, SAMPLERS[sampler], options, seed, **arguments)
        image.save(output / f"{name}.png", optimize=True)
        cases.append(dict(file=f"{name}.png", x=0, y=0, width=image.width, height=image.height,
                          sampler=sampler, schedule="karras" if options else None,
                          prompt=arguments["prompt"],
                          negative_prompt=arguments.get("negative_prompt", ""),
                          steps=arguments["num_inference_steps"],
                          guidance_scale=arguments["guidance_scale"],
                          guidance_rescale=arguments.get("guidance_rescale", 0.0),
                          eta=arguments.get("eta", 0.0), seed=str(seed)))
    draw_rest(pipe, output, cases)
    (output / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
