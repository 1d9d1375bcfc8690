"""DDIM."""
from diffusers import DDIMScheduler

from .common import SD, SD_DDIM, ZERO_SNR
from .discrete import discrete_cases

CLASSES = [DDIMScheduler]


def cases():
    for name, config in discrete_cases("ddim"):
        yield name, "DDIMScheduler", config, {}
    yield "ddim_eta", "DDIMScheduler", SD_DDIM, dict(eta=1.0)
    yield "ddim_eta_third", "DDIMScheduler", dict(SD, clip_sample=True), dict(eta=0.3)
    yield "ddim_eta_v", "DDIMScheduler", dict(ZERO_SNR, clip_sample=False), dict(eta=0.7)
    yield "ddim_offset", "DDIMScheduler", dict(steps_offset=3, beta_schedule="linear"), {}
