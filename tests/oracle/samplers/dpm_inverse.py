"""DPM-Solver backwards."""
from diffusers import DPMSolverMultistepInverseScheduler

from .common import COSINE, SD, THRESHOLD
from .dpm_multistep import FLOW, step

CLASSES = [DPMSolverMultistepInverseScheduler]
FEW = ("exponential", "beta")  # with more, diffusers begins at the second of two equal timesteps and fails


def cases():
    inverse = "DPMSolverMultistepInverseScheduler"
    for name, config in (
            ("default", {}), ("3", dict(SD, solver_order=3)), ("full", dict(SD, solver_order=3, lower_order_final=False)),
            ("noise", dict(SD, algorithm_type="dpmsolver", euler_at_final=True)), ("heun", dict(SD, solver_type="heun")),
            ("leading", dict(SD, timestep_spacing="leading", steps_offset=1)),
            ("trailing", dict(SD, timestep_spacing="trailing", prediction_type="v_prediction")),
            ("karras", dict(SD, use_karras_sigmas=True)), ("exponential", dict(SD, use_exponential_sigmas=True)),
            ("beta", dict(SD, use_beta_sigmas=True)), ("clipped", dict(COSINE, lambda_min_clipped=-5.1)),
            ("flow", FLOW), ("threshold", THRESHOLD), ("learned", dict(SD, variance_type="learned"))):
        yield f"dpm_inverse_{name}", inverse, config, dict(steps=[1, 2, 4, 7]) if name in FEW else {}
