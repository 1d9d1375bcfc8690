"""DDPM."""
from diffusers import DDPMScheduler

from .common import SD
from .discrete import discrete_cases

CLASSES = [DDPMScheduler]


def cases():
    for name, config in discrete_cases("ddpm"):
        yield name, "DDPMScheduler", config, {}
    for variance in ("fixed_small_log", "fixed_large", "learned", "learned_range"):
        yield f"ddpm_{variance}", "DDPMScheduler", dict(SD, clip_sample=False, variance_type=variance), {}
    yield "ddpm_learned_range_leading", "DDPMScheduler", dict(variance_type="learned_range", steps_offset=1), {}
    yield "ddpm_sigmoid", "DDPMScheduler", dict(beta_schedule="sigmoid"), {}
    yield "ddpm_laplace", "DDPMScheduler", dict(beta_schedule="laplace"), {}
