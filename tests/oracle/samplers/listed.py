"""Timesteps, sigmas and mu that the user gives; schedules that diffusers knows as lists of levels alone."""
import numpy as np
import torch
from diffusers import (DDPMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler,
                       DPMSolverSinglestepScheduler, EDMEulerScheduler, EulerDiscreteScheduler,
                       HeunDiscreteScheduler, UniPCMultistepScheduler)
from diffusers.schedulers import AysSchedules

from .common import SD

CLASSES = [DDPMScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler, DPMSolverMultistepScheduler,
           DEISMultistepScheduler, DPMSolverSinglestepScheduler, UniPCMultistepScheduler, EDMEulerScheduler]
EULER = "EulerDiscreteScheduler"
AYS = {
    "ays": [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
    "ays_sdxl": [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029],
    "ays_svd": [700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002],
}


def ays(levels, n):
    """The authors' interpolation (research.nvidia.com, howto)."""
    xs, ys = np.linspace(0, 1, len(levels)), np.log(levels[::-1])
    return np.append(np.exp(np.interp(np.linspace(0, 1, n + 1), xs, ys))[::-1][:-1], 0)


def simple(sigmas, n):
    """stable-diffusion-webui's and ComfyUI's loop."""
    return np.array([sigmas[-(1 + int(i * (len(sigmas) / n)))] for i in range(n)] + [0.0])


def sgm_uniform(sigmas, n):
    t = np.linspace(len(sigmas) - 1, 0, n + 1)[:-1]
    return np.append(np.exp(np.interp(t, np.arange(len(sigmas)), np.log(sigmas))), 0)


def set_timesteps(scheduler, n, overrides):
    schedule = overrides.get("schedule")
    if schedule is None:
        given = {k: overrides[k] for k in ("sigmas", "timesteps", "mu") if k in overrides}
        if "sigmas" not in given and "timesteps" not in given:
            given["num_inference_steps"] = n
        if isinstance(scheduler, UniPCMultistepScheduler) and "sigmas" in given:
            given["sigmas"] = np.array(given["sigmas"])
        if isinstance(scheduler, EDMEulerScheduler):
            given["sigmas"] = torch.tensor(given["sigmas"], dtype=torch.float64)
        return scheduler.set_timesteps(**given)
    table = np.sqrt((1 - scheduler.alphas_cumprod.double().numpy()) / scheduler.alphas_cumprod.double().numpy())
    rule = dict(simple=simple, sgm_uniform=sgm_uniform).get(schedule)
    scheduler.set_timesteps(sigmas=rule(table, n) if rule else ays(AYS[schedule], n))


def cases():
    few = dict(steps=[1, 2, 7, 10, 20])
    yield "listed_euler_timesteps", EULER, SD, dict(timesteps=AysSchedules["StableDiffusionTimesteps"])
    yield "listed_euler_log_linear", EULER, dict(SD, interpolation_type="log_linear"), dict(timesteps=[900, 500, 3])
    yield "listed_euler_sigmas", EULER, SD, dict(sigmas=[14.0, 8.0, 3.3, 1.25, 0.4, 0.03, 0.0])
    yield "listed_euler_sigmas_end", EULER, dict(SD, use_karras_sigmas=True), dict(sigmas=[20.0, 1.0, 0.5])
    yield "listed_euler_svd", EULER, dict(SD, prediction_type="v_prediction", timestep_type="continuous"), dict(
        sigmas=AysSchedules["StableDiffusionVideoSigmas"])
    yield "listed_ddpm", "DDPMScheduler", dict(SD, clip_sample=False), dict(timesteps=[999, 640, 640 // 2, 17, 0])
    ays = dict(timesteps=AysSchedules["StableDiffusionTimesteps"])
    yield "listed_heun", "HeunDiscreteScheduler", dict(SD, timestep_spacing="leading"), dict(
        timesteps=[981, 500, 77, 1])
    for name in ("Multistep", "Singlestep"):
        yield f"listed_dpm_{name.lower()}", f"DPMSolver{name}Scheduler", SD, ays
    yield "listed_dpm_multistep_sde", "DPMSolverMultistepScheduler", dict(
        SD, algorithm_type="sde-dpmsolver++", final_sigmas_type="sigma_min"), dict(timesteps=[999, 300, 20])
    yield "listed_dpm_multistep_third", "DPMSolverMultistepScheduler", dict(SD, solver_order=3), ays
    yield "listed_unipc_flow", "UniPCMultistepScheduler", dict(
        SD, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0), dict(
        sigmas=[1.0, 0.9, 0.61, 0.33, 0.1])
    yield "listed_unipc_flow_min", "UniPCMultistepScheduler", dict(
        SD, prediction_type="flow_prediction", use_flow_sigmas=True, final_sigmas_type="sigma_min"), dict(
        sigmas=[0.8, 0.4, 0.2])
    dynamic = dict(SD, prediction_type="flow_prediction", use_flow_sigmas=True, use_dynamic_shifting=True)
    for name in ("DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep"):
        yield f"mu_{name}", f"{name}Scheduler", dynamic, dict(steps=[2, 7], mu=0.8)
    yield "mu_linear", "UniPCMultistepScheduler", dict(dynamic, time_shift_type="linear"), dict(steps=[2, 7], mu=1.7)
    yield "mu_terminal", "UniPCMultistepScheduler", dict(dynamic, shift_terminal=0.1237), dict(steps=[2, 7], mu=1.15)
    yield "listed_edm_euler", "EDMEulerScheduler", {}, dict(sigmas=[0.0, 0.3, 0.55, 0.9])
    yield "listed_edm_euler_end", "EDMEulerScheduler", dict(
        rho=5.0, final_sigmas_type="sigma_min"), dict(sigmas=[0.1, 1.0])
    for schedule in ("simple", "sgm_uniform", "ays", "ays_sdxl", "ays_svd"):
        yield f"listed_{schedule}", EULER, SD, dict(few, schedule=schedule)
