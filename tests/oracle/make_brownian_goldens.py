"""Goldens for Brownian paths: the noise that diffusers' BrownianTreeNoiseSampler draws from torchsde.

    make_brownian_goldens.py    writes tests/data/samplers/brownian/ (on a processor with AVX2)

cases.json          name, seed, low and high (the path's ends) and pairs of noise levels of each case
noise.safetensors   for each case the noise between each pair, [pairs, 24]: tensors of [2, 2, 3, 2]

The pairs are those that diffusers' schedulers ask for in a run, and some that they do not: levels that
nearly meet, upwards, twice, past the ends, and a path so long that its tree needs more than 32 bits. f32
square roots, logarithms and exponentials are correctly rounded, as in make_sampler_goldens.py.
"""
import json
import warnings
from pathlib import Path

import torch
from diffusers.schedulers.scheduling_cosine_dpmsolver_multistep import CosineDPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler, DPMSolverSDEScheduler
from safetensors.torch import save_file
from make_sampler_goldens import round_correctly
from samplers.common import SD

OUT = Path(__file__).resolve().parent.parent / "data" / "samplers" / "brownian"
SHAPE = (2, 2, 3, 2)


def asked_for(scheduler, n):
    """The levels between which a scheduler draws in n steps."""
    pairs = []

    def draw(sigma, sigma_next):
        pairs.append((float(sigma), float(sigma_next)))
        return torch.zeros(SHAPE)

    scheduler.set_timesteps(n)
    scheduler.noise_sampler = draw
    for t in scheduler.timesteps:
        scheduler.step(torch.zeros(SHAPE), t, torch.zeros(SHAPE))
    return pairs


def ends_of(scheduler):
    sigmas = scheduler.sigmas
    return sigmas[sigmas > 0].min().item(), sigmas.max().item()


def cases():
    sd = DPMSolverSDEScheduler(**SD)
    for n in (1, 2, 10, 50):
        pairs = asked_for(sd, n)
        yield f"sde_{n}", 42, *ends_of(sd), pairs if n < 50 else pairs[::7]
    karras = DPMSolverSDEScheduler(**SD, use_karras_sigmas=True)
    pairs = asked_for(karras, 10)
    for seed in (0, 2**32 - 1, 2**32 + 5, 2**63 - 1):
        yield f"karras_{seed}", seed, *ends_of(karras), pairs[::4]
    cosine = CosineDPMSolverMultistepScheduler()
    yield "cosine", 7, 0.3, 500.0, asked_for(cosine, 5)
    yield "near", 3, 0.5, 14.0, [(7.25, 7.25), (7.25, 7.250001), (7.250001, 7.249999), (2.0, 1.999998)]
    yield "any_way", 11, 0.1, 10.0, [(5.0, 3.0), (3.0, 5.0), (5.0, 3.0), (0.1, 10.0), (10.0, 0.1), (12.0, 4.0),
                                     (1.0, 0.01), (20.0, 0.0), (15.0, 12.0)]
    yield "long", 13, 0.002, 50000.0, [(50000.0, 49999.5), (49999.5, 30000.0), (30000.0, 0.003), (12345.678, 0.25)]


def as_f32(number):
    return torch.tensor(number, dtype=torch.float32).item()


def main():
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        raise SystemExit("PyTorch draws other numbers without AVX2")
    round_correctly()
    for function in ("exp", "expm1", "log"):
        setattr(torch.Tensor, function, getattr(torch, function))
    warnings.simplefilter("ignore")
    listed, noise = [], {}
    for name, seed, low, high, pairs in cases():
        pairs = [(as_f32(a), as_f32(b)) for a, b in pairs]
        sampler = BrownianTreeNoiseSampler(torch.zeros(SHAPE), low, high, seed)
        draws = [sampler(torch.tensor(a), torch.tensor(b)).flatten() for a, b in pairs]
        noise[name] = torch.stack(draws) if draws else torch.zeros(0, 24)
        # levels that are one have no path: 0 / 0 in diffusers, no noise here
        noise[name][[a == b for a, b in pairs]] = 0
        listed.append(dict(name=name, seed=str(seed), low=low, high=high, pairs=pairs))
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(noise, OUT / "noise.safetensors")
    (OUT / "cases.json").write_text(json.dumps(listed, indent=1) + "\n")


main()
