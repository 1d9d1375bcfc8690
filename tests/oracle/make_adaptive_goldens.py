"""Goldens for dpm_adaptive: runs of k-diffusion's sample_dpm_adaptive on normally distributed data.

    make_adaptive_goldens.py    writes tests/data/samplers/adaptive.json

Each case has the options, eta, the steps that were taken and those that were not, and the end of all 24
elements. The data have mean 0.7 and deviation 0.8, so that the clean sample expected at x and sigma is
0.7 + 0.64 / (0.64 + sigma^2) (x - 0.7); x begins as sigma times torch.randn([2, 2, 3, 2]) of seed 3, and the
noise of steps is that of one generator of seed 4, a tensor a step that is taken. All in f64: the error of a
short step is a small difference of large numbers, so that in f32 its rounding shows in the next lengths.
"""
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler

from samplers.common import SD

# k_diffusion's own start-up wants packages for training; its samplers need none of them.
package = types.ModuleType("k_diffusion")
package.__path__ = importlib.util.find_spec("k_diffusion").submodule_search_locations
sys.modules.update({"k_diffusion": package, "k_diffusion.utils": types.ModuleType("k_diffusion.utils")})
from k_diffusion.sampling import sample_dpm_adaptive  # noqa: E402

OUT = Path(__file__).resolve().parent.parent / "data" / "samplers" / "adaptive.json"
SHAPE = (2, 2, 3, 2)
CASES = [
    ({}, 0),
    (dict(solver_order=2), 0),
    (dict(rtol=0.005, atol=0.00078), 0),
    (dict(rtol=0.005, atol=0.00078, solver_order=2), 0),
    (dict(rtol=0.0005, atol=0.000078), 0),
    (dict(h_init=5.0), 0),
    (dict(h_init=5.0, solver_order=2, rtol=0.01), 0),
    ({}, 1),
    (dict(solver_order=2, s_noise=1.02), 0.5),
]


def model(x, sigma):
    return 0.7 + 0.64 / (0.64 + sigma.view(-1, 1, 1, 1)**2) * (x - 0.7)


def run(options, eta):
    schedule = EulerDiscreteScheduler(**SD, timestep_spacing="linspace")
    schedule.set_timesteps(20)
    high, low = schedule.sigmas[0].item(), schedule.sigmas[-2].item()
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3)).double() * high
    noise = torch.Generator().manual_seed(4)
    said = {k: v for k, v in options.items() if k != "solver_order"}
    x, info = sample_dpm_adaptive(model, x, np.float64(low), np.float64(high), disable=True, order=options.get("solver_order", 3), eta=eta,
                                  noise_sampler=lambda *_: torch.randn(SHAPE, generator=noise).double(), return_info=True, **said)
    return dict(config=dict(SD, _class_name="sample_dpm_adaptive", prediction_type="sample", **options), eta=eta,
                taken=info["n_accept"], refused=info["n_reject"], sample=[float(f"{v:.9g}") for v in x.flatten().tolist()])


def main():
    OUT.write_text(json.dumps([run(*case) for case in CASES], indent=1) + "\n")


main()
