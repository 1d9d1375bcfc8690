"""Goldens for the samplers: recorded runs of diffusers' schedulers on random model outputs.

    make_sampler_goldens.py [FAMILY...]    writes tests/data/samplers/; no family: all

A family is a module of samplers/: CLASSES, the diffusers classes in it, and cases(), which yields name,
class name, configuration and overrides of each case. It may have prepare(scheduler, noise), to put the
recorded noise where its classes draw, and step(scheduler, output, t, sample, options).

inputs.safetensors    noise [2, 2, 3, 2]; model_output and step_noise for 104 evaluations. The model's
                      channels 2 and 3 are those of a predicted variance, within -1..1.
FAMILY/cases.json     name, config and overrides of each case; steps: the runs of each that names none
FAMILY/runs.safetensors
                      one list of numbers a case: for each run the number of timesteps, the number of
                      sigmas, the timesteps, the sigmas, and for each evaluation the model input's
                      first element and the sample after it: all 24 elements in runs of up to 7 steps
                      and in the last evaluation, otherwise the first 4
tables.safetensors    alphas_cumprod of the beta schedules

PyTorch takes f32 functions from MKL, which on some processors are one unit off in the last place: some
square roots, 5 % of logarithms, 1 % of exponentials; numpy's own logarithms 14 %. With zero terminal SNR
and in solvers of third order, where such numbers nearly cancel, that shows in the fourth or fifth digit of
a sample. So they are replaced by correctly rounded ones: the goldens are the same on every processor with
fused multiply-add.
"""
import importlib
import json
import pkgutil
import sys
from pathlib import Path

import numpy as np
import torch
import samplers
from diffusers import DDPMScheduler
from safetensors.torch import save_file
from samplers.common import SD

OUT = Path(__file__).resolve().parent.parent / "data" / "samplers"
STEPS = [1, 2, 4, 7, 20, 50]
SHAPE = (2, 2, 3, 2)
N_EVALUATIONS = 104

def scheduler_of(family, class_name, config, overrides):
    """overrides: sampler and stands_for (its class in diffusers), schedule, eta, mu, insist, timesteps,
    sigmas, steps (the runs, where they are not all)."""
    classes = {c.__name__: c for c in family.CLASSES}
    config = dict(config, _class_name=class_name, **overrides.get("insist", {}))
    class_name = overrides.get("stands_for", class_name)
    if "schedule" in overrides and not hasattr(family, "set_timesteps"):
        config = {k: v for k, v in config.items() if not k.endswith("_sigmas")}
        config[f"use_{overrides['schedule']}_sigmas"] = True
    return classes[class_name].from_config(config)


def rounded_correctly(function, else_function):
    """The function of f32 numbers by way of f64; of others as it is."""

    def of_f32(x, *args, **kwargs):
        numbers = x.numpy() if isinstance(x, torch.Tensor) else x
        if not isinstance(numbers, (np.ndarray, np.float32)) or numbers.dtype != np.float32:
            return else_function(x, *args, **kwargs)
        y = np.asarray(function(numbers.astype(np.float64)).astype(np.float32))
        return torch.from_numpy(y) if isinstance(x, torch.Tensor) else y[()]

    return of_f32


def round_correctly():
    power, log = torch.Tensor.__pow__, np.log
    root = rounded_correctly(np.sqrt, torch.Tensor.sqrt)
    torch.Tensor.sqrt = torch.sqrt = root
    torch.Tensor.__pow__ = lambda x, e: root(x) if e == 0.5 and x.dtype == torch.float32 else power(x, e)
    torch.exp = rounded_correctly(np.exp, torch.exp)
    torch.expm1 = rounded_correctly(np.expm1, torch.expm1)
    torch.log = rounded_correctly(log, torch.log)
    np.log = rounded_correctly(log, log)
    torch.sin = rounded_correctly(np.sin, torch.sin)
    torch.atan2 = lambda y, x: torch.from_numpy(np.arctan2(y.double().numpy(), x.double().numpy()).astype(np.float32))


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
    variance = scheduler.config.get("variance_type") or ""
    if not variance.startswith("learned"):
        return output[:, :2].clone()
    if variance == "learned":  # a variance: squared, so that it is positive
        output = torch.cat([output[:, :2], output[:, 2:] * output[:, 2:]], dim=1)
    return output.clone()


def draw_from(noise):
    """Every scheduler's module that draws does so from the recorded noise."""
    recorded = Recorded(noise)
    for name, module in list(sys.modules.items()):
        if name.startswith("diffusers.schedulers.") and hasattr(module, "randn_tensor"):
            module.randn_tensor = recorded
    return recorded


def run(family, scheduler, inputs, n, overrides):
    recorded = draw_from(inputs["step_noise"])
    if hasattr(family, "prepare"):
        family.prepare(scheduler, recorded)
    if hasattr(family, "set_timesteps"):
        family.set_timesteps(scheduler, n, overrides)
    elif "timesteps" in overrides:
        scheduler.set_timesteps(timesteps=overrides["timesteps"])
    else:
        scheduler.set_timesteps(n)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    has_sigmas = family.has_sigmas(scheduler) if hasattr(family, "has_sigmas") else hasattr(scheduler, "sigmas")
    sigmas = scheduler.sigmas.numpy() if has_sigmas else np.zeros(0)
    numbers = [[len(scheduler.timesteps), len(sigmas)], scheduler.timesteps.numpy(), sigmas]
    options = {"eta": overrides["eta"]} if "eta" in overrides else {}
    sample = inputs["noise"] * getattr(scheduler, "init_noise_sigma", 1.0)
    for k, t in enumerate(scheduler.timesteps):
        x = scheduler.scale_model_input(sample, t) if hasattr(scheduler, "scale_model_input") else sample
        output = model_output(inputs, scheduler, k)
        if hasattr(family, "step"):
            sample = family.step(scheduler, output, t, sample, options)
        else:
            sample = scheduler.step(output, t, sample, **options).prev_sample
        last = k + 1 == len(scheduler.timesteps)
        numbers += [x.flatten()[:1].numpy(), sample.flatten()[: None if n <= 7 or last else 4].numpy()]
    flat = np.concatenate([np.asarray(a, dtype=np.float64) for a in numbers]).astype(np.float32)
    assert np.isfinite(flat).all(), (scheduler.config, overrides, n)
    return flat


def make_inputs():
    generator = torch.Generator().manual_seed(20)
    outputs = torch.randn((N_EVALUATIONS, 2, 4, 3, 2), generator=generator)
    outputs[:, :, 2:] = torch.rand((N_EVALUATIONS, 2, 2, 3, 2), generator=generator) * 2 - 1
    return {"noise": torch.randn(SHAPE, generator=generator), "model_output": outputs,
            "step_noise": torch.randn((N_EVALUATIONS, *SHAPE), generator=generator)}


def tables():
    named = {name: dict(beta_schedule=name)
             for name in ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace")}
    named["sd"] = SD
    named["few"] = dict(num_train_timesteps=77, beta_end=0.1)
    named["zero_snr"] = dict(SD, rescale_betas_zero_snr=True)
    return {name: DDPMScheduler(**config).alphas_cumprod.clone() for name, config in named.items()}


def steps_of(overrides):
    """The runs of a case: its own, all, or the one of a list of timesteps or sigmas."""
    listed = overrides.get("timesteps", overrides.get("sigmas"))
    return [len(listed)] if listed else overrides.get("steps", STEPS)


def write_family(name, inputs):
    family, runs, listed = importlib.import_module(f"samplers.{name}"), {}, []
    for case, class_name, config, overrides in family.cases():
        scheduler = scheduler_of(family, class_name, config, overrides)
        runs[case] = torch.from_numpy(
            np.concatenate([run(family, scheduler, inputs, n, overrides) for n in steps_of(overrides)]))
        said = {k: v for k, v in overrides.items() if k not in ("stands_for", "insist")}
        listed.append({"name": case, "config": dict(_class_name=class_name, **config), **said})
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file(runs, folder / "runs.safetensors")
    (folder / "cases.json").write_text(json.dumps({"steps": STEPS, "cases": listed}, indent=1) + "\n")


def families():
    modules = [m.name for m in pkgutil.iter_modules(samplers.__path__)]
    return [name for name in modules if name not in ("common", "discrete")]


def main():
    round_correctly()
    inputs = make_inputs()
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(inputs, OUT / "inputs.safetensors")
    save_file(tables(), OUT / "tables.safetensors")
    for name in sys.argv[1:] or families():
        write_family(name, inputs)


if __name__ == "__main__":
    main()
