"""Draws one picture with diffusers, for timing beside Sfumato: peer_diffusers.py MODEL OUTPUT."""
import sys

import torch
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], torch_dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
generator = torch.Generator("cpu").manual_seed(42)
pipe("a red apple", num_inference_steps=25, guidance_scale=4.0,
     generator=generator).images[0].save(sys.argv[2])
