"""DEIS."""
from diffusers import DEISMultistepScheduler

from .common import COSINE, SD, THRESHOLD, TRAINED
from .dpm_multistep import FLOW

CLASSES = [DEISMultistepScheduler]


def configs():
    yield "default", {}
    for order in (1, 2, 3):
        yield f"{order}", dict(SD, solver_order=order)
        yield f"{order}_full", dict(SD, solver_order=order, lower_order_final=False, algorithm_type="dpmsolver++")
    for prediction in ("sample", "v_prediction"):
        yield prediction, dict(SD, prediction_type=prediction, solver_type="bh2")
    yield "leading", dict(SD, timestep_spacing="leading", steps_offset=1)
    yield "trailing", dict(SD, timestep_spacing="trailing")
    yield "karras", dict(SD, use_karras_sigmas=True)
    yield "karras_3", dict(COSINE, use_karras_sigmas=True, solver_order=3)
    yield "exponential", dict(SD, use_exponential_sigmas=True, sigma_min=0.05, sigma_max=10.0)
    yield "beta", dict(SD, use_beta_sigmas=True)
    yield "flow", dict(FLOW, solver_order=3)
    yield "cosine", COSINE
    yield "threshold", THRESHOLD


def cases():
    for name, config in configs():
        yield f"deis_{name}", "DEISMultistepScheduler", config, {}
    yield "deis_trained", "DEISMultistepScheduler", TRAINED, dict(steps=[1, 2, 4, 7, 20])
