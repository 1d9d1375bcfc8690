"""A sampler or a schedule that is asked for beside the file's."""
from diffusers import DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler

from .common import SD, SD_DDIM

CLASSES = [DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler]


def cases():
    euler = "EulerDiscreteScheduler"
    yield "override_euler", "DDIMScheduler", SD_DDIM, dict(sampler="euler", stands_for="EulerDiscreteScheduler")
    yield "override_euler_karras", "DDIMScheduler", SD_DDIM, dict(sampler="Euler", schedule="karras", stands_for="EulerDiscreteScheduler")
    yield "override_ddpm", euler, dict(SD, use_karras_sigmas=True), dict(sampler="DDPMScheduler", stands_for="DDPMScheduler")
    yield "override_normal", euler, dict(SD, use_karras_sigmas=True), dict(schedule="normal")
