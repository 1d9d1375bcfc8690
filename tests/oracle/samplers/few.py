"""Few steps: LCM, TCD, consistency models; distilled models by DDIM and Euler."""
from diffusers import (CMStochasticIterativeScheduler, DDIMScheduler, EulerDiscreteScheduler, LCMScheduler,
                       TCDScheduler)

from .common import COSINE, SD, THRESHOLD, TRAINED, ZERO_SNR

CLASSES = [CMStochasticIterativeScheduler, DDIMScheduler, EulerDiscreteScheduler, LCMScheduler, TCDScheduler]
UP_TO_20 = dict(steps=[1, 2, 4, 7, 20])
FEW = dict(steps=[1, 2, 4, 8])


def has_sigmas(scheduler):
    return isinstance(scheduler, (CMStochasticIterativeScheduler, EulerDiscreteScheduler))


def cases():
    for short, name in (("lcm", "LCMScheduler"), ("tcd", "TCDScheduler")):
        yield short, name, {}, {}
        yield f"{short}_original_100", name, dict(original_inference_steps=100), FEW
        yield f"{short}_linear_v", name, dict(beta_schedule="linear", prediction_type="v_prediction"), FEW
        yield f"{short}_sample", name, dict(prediction_type="sample"), FEW
        yield f"{short}_zero_snr", name, dict(ZERO_SNR), FEW
        yield f"{short}_cosine", name, COSINE, FEW
        yield f"{short}_trained", name, dict(TRAINED, original_inference_steps=25), FEW
    yield "lcm_scaling", "LCMScheduler", dict(timestep_scaling=0.01), FEW
    yield "lcm_clipped", "LCMScheduler", dict(clip_sample=True, clip_sample_range=1.5), FEW
    yield "lcm_threshold", "LCMScheduler", THRESHOLD, FEW
    yield "lcm_listed", "LCMScheduler", {}, dict(timesteps=[999, 759, 499, 259])
    yield "tcd_eta_0", "TCDScheduler", {}, dict(FEW, eta=0.0)
    yield "tcd_eta_1", "TCDScheduler", {}, dict(FEW, eta=1.0)
    yield "tcd_eta_07_v", "TCDScheduler", dict(ZERO_SNR), dict(FEW, eta=0.7)
    yield "tcd_listed", "TCDScheduler", {}, dict(timesteps=[999, 749, 500, 251, 1])
    cm = "CMStochasticIterativeScheduler"
    yield "cm", cm, {}, UP_TO_20
    yield "cm_unclipped", cm, dict(clip_denoised=False, num_train_timesteps=201), {}
    yield "cm_options", cm, dict(sigma_min=0.01, sigma_max=50.0, sigma_data=0.7, s_noise=1.007, rho=5.0,
                                 clip_denoised=False), FEW
    yield "cm_listed", cm, dict(num_train_timesteps=151, clip_denoised=False), dict(timesteps=[106, 62, 17, 0])
    # Progressive distillation; SDXL-Turbo, Lightning and Hyper as their cards say.
    yield "progressive", "DDIMScheduler", dict(COSINE, prediction_type="v_prediction", timestep_spacing="trailing",
                                               clip_sample=False), FEW
    yield "hyper", "DDIMScheduler", dict(SD, timestep_spacing="trailing", clip_sample=False,
                                         set_alpha_to_one=False), FEW
    yield "lightning", "EulerDiscreteScheduler", dict(SD, timestep_spacing="trailing"), FEW
    yield "turbo", "EulerDiscreteScheduler", dict(SD, timestep_spacing="trailing", interpolation_type="linear",
                                                  steps_offset=1), FEW
