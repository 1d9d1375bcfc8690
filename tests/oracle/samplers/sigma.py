"""The other methods in sigma space.

DPMSolverSDEScheduler draws from torchsde's Brownian tree. Here each of its draws is one of the recorded
ones, so the package is not needed.
"""
import sys
import types

import torch

sys.modules.setdefault("torchsde", types.ModuleType("torchsde"))

from diffusers import (EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler,
                       KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler, LMSDiscreteScheduler)
from diffusers.schedulers.scheduling_dpmsolver_sde import DPMSolverSDEScheduler

from .common import COSINE, SD, TRAINED, ZERO_SNR

CLASSES = [EulerAncestralDiscreteScheduler, HeunDiscreteScheduler, KDPM2DiscreteScheduler,
           KDPM2AncestralDiscreteScheduler, LMSDiscreteScheduler, DPMSolverSDEScheduler, EulerDiscreteScheduler]

recorded = None
for function in ("exp", "expm1", "log"):  # as the script has them rounded
    setattr(torch.Tensor, function, getattr(torch, function))


def prepare(scheduler, noise):
    global recorded
    recorded = noise


def set_timesteps(scheduler, n, overrides):
    scheduler.set_timesteps(n)
    shape = recorded.noise.shape[1:]
    scheduler.noise_sampler = lambda sigma, sigma_next: recorded(shape)


def step(scheduler, output, t, sample, options):
    """Churn is arguments of step(), here of the configuration."""
    churn = {k: scheduler.config[k] for k in ("s_churn", "s_tmin", "s_tmax", "s_noise") if k in scheduler.config}
    return scheduler.step(output, t, sample, **churn).prev_sample


def cases():
    for short, cls in (("euler_a", CLASSES[0]), ("heun", CLASSES[1]), ("dpm2", CLASSES[2]), ("dpm2_a", CLASSES[3]),
                       ("lms", CLASSES[4]), ("dpmpp_sde", CLASSES[5])):
        name = cls.__name__
        yield short, name, {}, {}
        yield f"{short}_leading", name, dict(SD, timestep_spacing="leading", steps_offset=1), {}
        yield f"{short}_trailing_v", name, dict(SD, timestep_spacing="trailing", prediction_type="v_prediction"), {}
        if short in ("heun", "lms"):
            yield f"{short}_sample", name, dict(SD, prediction_type="sample"), {}
        if short != "euler_a":
            yield f"{short}_karras", name, dict(SD, use_karras_sigmas=True), {}
            yield f"{short}_exponential", name, dict(SD, use_exponential_sigmas=True), {}
            yield f"{short}_beta", name, dict(SD, use_beta_sigmas=True), {}
    yield "euler_a_zero_snr", "EulerAncestralDiscreteScheduler", ZERO_SNR, {}
    yield "euler_a_trained", "EulerAncestralDiscreteScheduler", TRAINED, {}
    heun = "HeunDiscreteScheduler"
    yield "heun_clipped", heun, dict(SD, clip_sample=True, clip_sample_range=1.5), {}
    yield "heun_exp", heun, dict(beta_schedule="exp", timestep_spacing="leading"), {}
    yield "heun_karras_range", heun, dict(SD, use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0), {}
    yield "lms_cosine", "LMSDiscreteScheduler", COSINE, {}
    churn = dict(s_churn=10.0, s_tmin=0.05, s_tmax=50.0, s_noise=1.003)
    yield "euler_churn", "EulerDiscreteScheduler", dict(SD, **churn), {}
    yield "euler_churn_v", "EulerDiscreteScheduler", dict(ZERO_SNR, s_churn=3.0), {}
    yield "dpm2_override", heun, dict(SD, use_karras_sigmas=True), dict(sampler="DPM2 a", stands_for="KDPM2AncestralDiscreteScheduler")
