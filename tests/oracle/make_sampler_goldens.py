"""Goldens for the samplers: recorded runs of diffusers' schedulers on random model outputs.

    make_sampler_goldens.py    writes tests/data/samplers/

inputs.safetensors    noise [2, 2, 3, 2]; model_output and step_noise for 52 evaluations. The model's
                      channels 2 and 3 are those of a predicted variance, within -1..1.
cases.json            name, config and overrides of each case; steps: the runs of each
runs.safetensors      one list of numbers a case: for each run the number of timesteps, the number of
                      sigmas, the timesteps, the sigmas, and for each evaluation the model input's
                      first element and the sample after it: all 24 elements in runs of up to 7 steps
                      and in the last evaluation, otherwise the first 4
tables.safetensors    alphas_cumprod of the beta schedules

PyTorch takes f32 square roots from MKL, which on some processors are one unit off in the last place.
With zero terminal SNR that shows in the fourth digit of a sample, so roots are replaced by correctly
rounded ones: the goldens are the same on every processor with fused multiply-add.
"""
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler
from diffusers.schedulers import scheduling_ddim as ddim
from diffusers.schedulers import scheduling_ddpm as ddpm
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "data" / "samplers"
CLASSES = {c.__name__: c for c in (DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler)}
STEPS = [1, 2, 4, 7, 20, 50]
SHAPE = (2, 2, 3, 2)

SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SD_DDIM = dict(SD, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
COSINE = dict(beta_schedule="squaredcos_cap_v2")
ZERO_SNR = dict(SD, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing")
TRAINED = dict(trained_betas=[round(0.002 + 0.0015 * i + 0.01 * (i % 3), 4) for i in range(50)], num_train_timesteps=50)
THRESHOLD = dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=3.0)
SVD = dict(SD, prediction_type="v_prediction", timestep_type="continuous", timestep_spacing="leading",
           use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, steps_offset=1)


def discrete_cases(short):
    """What DDIM and DDPM share."""
    yield f"{short}", {}
    yield f"{short}_sd", SD_DDIM if short == "ddim" else dict(SD, clip_sample=False, steps_offset=1)
    yield f"{short}_trailing", dict(SD, clip_sample=False, timestep_spacing="trailing")
    yield f"{short}_linspace", dict(SD, clip_sample=False, timestep_spacing="linspace")
    yield f"{short}_sample", dict(SD, clip_sample=False, prediction_type="sample")
    yield f"{short}_sample_clipped", dict(prediction_type="sample", clip_sample_range=0.7)
    yield f"{short}_v", dict(SD, clip_sample=False, prediction_type="v_prediction")
    yield f"{short}_v_clipped", dict(SD, prediction_type="v_prediction", clip_sample_range=1.5)
    yield f"{short}_cosine", COSINE
    yield f"{short}_cosine_unclipped", dict(COSINE, clip_sample=False)
    yield f"{short}_trained", TRAINED
    yield f"{short}_zero_snr", dict(ZERO_SNR, clip_sample=False)
    yield f"{short}_threshold", THRESHOLD
    yield f"{short}_threshold_low", dict(THRESHOLD, sample_max_value=1.0, dynamic_thresholding_ratio=0.5)
    yield f"{short}_few_timesteps", dict(num_train_timesteps=77, beta_end=0.1)


def cases():
    for name, config in discrete_cases("ddim"):
        yield name, "DDIMScheduler", config, {}
    yield "ddim_eta", "DDIMScheduler", SD_DDIM, dict(eta=1.0)
    yield "ddim_eta_third", "DDIMScheduler", dict(SD, clip_sample=True), dict(eta=0.3)
    yield "ddim_eta_v", "DDIMScheduler", dict(ZERO_SNR, clip_sample=False), dict(eta=0.7)
    yield "ddim_offset", "DDIMScheduler", dict(steps_offset=3, beta_schedule="linear"), {}
    for name, config in discrete_cases("ddpm"):
        yield name, "DDPMScheduler", config, {}
    for variance in ("fixed_small_log", "fixed_large", "learned", "learned_range"):
        yield f"ddpm_{variance}", "DDPMScheduler", dict(SD, clip_sample=False, variance_type=variance), {}
    yield "ddpm_learned_range_leading", "DDPMScheduler", dict(variance_type="learned_range", steps_offset=1), {}
    yield "ddpm_sigmoid", "DDPMScheduler", dict(beta_schedule="sigmoid"), {}
    yield "ddpm_laplace", "DDPMScheduler", dict(beta_schedule="laplace"), {}
    euler = "EulerDiscreteScheduler"
    yield "euler", euler, {}, {}
    yield "euler_sd", euler, dict(SD, timestep_spacing="leading", steps_offset=1), {}
    yield "euler_trailing", euler, dict(SD, timestep_spacing="trailing"), {}
    yield "euler_linspace", euler, SD, {}
    yield "euler_v", euler, dict(SD, prediction_type="v_prediction"), {}
    yield "euler_sample", euler, dict(SD, prediction_type="sample"), {}
    yield "euler_original_sample", euler, dict(SD, prediction_type="original_sample"), {}
    yield "euler_cosine", euler, COSINE, {}
    yield "euler_trained", euler, TRAINED, {}
    yield "euler_karras", euler, dict(SD, use_karras_sigmas=True), {}
    yield "euler_karras_leading", euler, dict(SD, use_karras_sigmas=True, timestep_spacing="leading"), {}
    yield "euler_karras_range", euler, dict(SD, use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0), {}
    yield "euler_exponential", euler, dict(SD, use_exponential_sigmas=True), {}
    yield "euler_beta", euler, dict(SD, use_beta_sigmas=True), {}
    yield "euler_log_linear", euler, dict(SD, interpolation_type="log_linear"), {}
    yield "euler_log_linear_karras", euler, dict(SD, interpolation_type="log_linear", use_karras_sigmas=True), {}
    yield "euler_log_linear_continuous", euler, dict(SD, interpolation_type="log_linear", timestep_type="continuous",
                                                     prediction_type="v_prediction"), {}
    yield "euler_continuous", euler, dict(SD, timestep_type="continuous", prediction_type="v_prediction"), {}
    yield "euler_continuous_epsilon", euler, dict(SD, timestep_type="continuous"), {}
    yield "euler_svd", euler, SVD, {}
    yield "euler_sigma_min", euler, dict(SD, final_sigmas_type="sigma_min"), {}
    yield "euler_zero_snr", euler, ZERO_SNR, {}
    yield "euler_zero_snr_leading", euler, dict(ZERO_SNR, timestep_spacing="leading"), {}
    yield "euler_few_timesteps", euler, dict(num_train_timesteps=77, beta_end=0.1, timestep_spacing="trailing"), {}
    yield "override_euler", "DDIMScheduler", SD_DDIM, dict(sampler="euler")
    yield "override_euler_karras", "DDIMScheduler", SD_DDIM, dict(sampler="Euler", schedule="karras")
    yield "override_ddpm", euler, dict(SD, use_karras_sigmas=True), dict(sampler="DDPMScheduler")
    yield "override_normal", euler, dict(SD, use_karras_sigmas=True), dict(schedule="normal")


def scheduler_of(class_name, config, overrides):
    config = dict(config, _class_name=class_name)
    wanted = overrides.get("sampler", class_name).lower()
    class_name = next(n for n in CLASSES if n.lower().startswith(wanted))
    if "schedule" in overrides:
        config = {k: v for k, v in config.items() if not k.endswith("_sigmas")}
        config[f"use_{overrides['schedule']}_sigmas"] = True
    return CLASSES[class_name].from_config(config)


def round_roots_correctly():
    power = torch.Tensor.__pow__

    def root(x):
        return torch.from_numpy(np.asarray(np.sqrt(x.numpy().astype(np.float64)).astype(np.float32)))

    torch.Tensor.sqrt = root
    torch.Tensor.__pow__ = lambda x, e: root(x) if e == 0.5 and x.dtype == torch.float32 else power(x, e)


class Recorded:
    """Hands out the recorded step noise where a scheduler draws."""

    def __init__(self, noise):
        self.noise, self.n_draws = noise, 0

    def __call__(self, shape, generator=None, device=None, dtype=None):
        assert tuple(shape) == SHAPE
        self.n_draws += 1
        return self.noise[self.n_draws - 1].clone()


def model_output(inputs, scheduler, k):
    output = inputs["model_output"][k]
    variance = scheduler.config.get("variance_type", "")
    if not variance.startswith("learned"):
        return output[:, :2].clone()
    if variance == "learned":  # a variance: squared, so that it is positive
        output = torch.cat([output[:, :2], output[:, 2:] * output[:, 2:]], dim=1)
    return output.clone()


def run(scheduler, inputs, n, overrides):
    ddim.randn_tensor = ddpm.randn_tensor = Recorded(inputs["step_noise"])
    scheduler.set_timesteps(n)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    sigmas = scheduler.sigmas.numpy() if isinstance(scheduler, EulerDiscreteScheduler) else np.zeros(0)
    numbers = [[len(scheduler.timesteps), len(sigmas)], scheduler.timesteps.numpy(), sigmas]
    options = {"eta": overrides["eta"]} if "eta" in overrides else {}
    sample = inputs["noise"] * scheduler.init_noise_sigma
    for k, t in enumerate(scheduler.timesteps):
        x = scheduler.scale_model_input(sample, t)
        sample = scheduler.step(model_output(inputs, scheduler, k), t, sample, **options).prev_sample
        last = k + 1 == len(scheduler.timesteps)
        numbers += [x.flatten()[:1].numpy(), sample.flatten()[: None if n <= 7 or last else 4].numpy()]
    flat = np.concatenate([np.asarray(a, dtype=np.float64) for a in numbers]).astype(np.float32)
    assert np.isfinite(flat).all(), (type(scheduler).__name__, overrides, n)
    return flat


def make_inputs():
    generator = torch.Generator().manual_seed(20)
    outputs = torch.randn((52, 2, 4, 3, 2), generator=generator)
    outputs[:, :, 2:] = torch.rand((52, 2, 2, 3, 2), generator=generator) * 2 - 1
    return {"noise": torch.randn(SHAPE, generator=generator), "model_output": outputs,
            "step_noise": torch.randn((52, *SHAPE), generator=generator)}


def tables():
    named = {name: dict(beta_schedule=name)
             for name in ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace")}
    named["sd"] = SD
    named["few"] = dict(num_train_timesteps=77, beta_end=0.1)
    named["zero_snr"] = dict(SD, rescale_betas_zero_snr=True)
    return {name: DDPMScheduler(**config).alphas_cumprod.clone() for name, config in named.items()}


def main():
    round_roots_correctly()
    inputs, runs, listed = make_inputs(), {}, []
    for name, class_name, config, overrides in cases():
        scheduler = scheduler_of(class_name, config, overrides)
        runs[name] = torch.from_numpy(np.concatenate([run(scheduler, inputs, n, overrides) for n in STEPS]))
        listed.append({"name": name, "config": dict(_class_name=class_name, **config), **overrides})
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(inputs, OUT / "inputs.safetensors")
    save_file(runs, OUT / "runs.safetensors")
    save_file(tables(), OUT / "tables.safetensors")
    (OUT / "cases.json").write_text(json.dumps({"steps": STEPS, "cases": listed}, indent=1) + "\n")


if __name__ == "__main__":
    main()
