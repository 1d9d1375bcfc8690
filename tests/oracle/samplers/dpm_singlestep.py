"""DPM-Solver and DPM-Solver++ as singlestep methods."""
from diffusers import DPMSolverSinglestepScheduler

from .common import COSINE, SD, THRESHOLD, TRAINED
from .dpm_multistep import FLOW, MIN, step

CLASSES = [DPMSolverSinglestepScheduler]
ALGORITHMS = {"pp": "dpmsolver++", "noise": "dpmsolver", "sde_pp": "sde-dpmsolver++"}


def configs():
    yield "default", {}
    yield "sd", SD
    for short, algorithm in ALGORITHMS.items():
        for order in (1, 2, 3):
            yield f"{short}_{order}", dict(MIN, algorithm_type=algorithm, solver_order=order, lower_order_final=True)
        for order in (2, 3):
            yield f"{short}_heun_{order}", dict(MIN, algorithm_type=algorithm, solver_type="heun",
                                                solver_order=order, lower_order_final=True)
        for prediction in ("sample", "v_prediction"):
            yield f"{short}_{prediction}", dict(MIN, algorithm_type=algorithm, prediction_type=prediction,
                                                  lower_order_final=True)
    yield "zero_3", dict(SD, solver_order=3)
    yield "karras", dict(SD, use_karras_sigmas=True)
    yield "karras_cosine", dict(COSINE, use_karras_sigmas=True, lambda_min_clipped=-5.1)
    yield "exponential", dict(SD, use_exponential_sigmas=True, sigma_min=0.05, sigma_max=10.0)
    yield "beta", dict(SD, use_beta_sigmas=True)
    yield "flow", FLOW
    yield "flow_sde_3", dict(FLOW, algorithm_type="sde-dpmsolver++", solver_type="heun", solver_order=3)
    yield "clipped", dict(COSINE, lambda_min_clipped=-5.1)
    yield "threshold", dict(THRESHOLD)
    yield "learned", dict(SD, variance_type="learned")


def cases():
    single = "DPMSolverSinglestepScheduler"
    for name, config in configs():
        yield f"dpmpp_2s_{name}", single, config, {}
    yield "dpmpp_2s_trained", single, TRAINED, dict(steps=[1, 2, 4, 7, 20])
    # a scheduler of diffusers that once met a number of steps which does not come out even stays changed
    yield "dpmpp_2s_even_2", single, MIN, dict(steps=[2, 4, 20, 50])
    yield "dpmpp_2s_even_3", single, dict(MIN, solver_order=3), dict(steps=[3, 6, 12, 51])
    for name, algorithm, order in (("dpmpp_2s", "dpmsolver++", 2), ("dpmpp_3s", "dpmsolver++", 3),
                                   ("dpm_2s", "dpmsolver", 2), ("dpm_3s", "dpmsolver", 3)):
        insist = dict(algorithm_type=algorithm, solver_order=order)
        if algorithm == "dpmsolver":
            insist["final_sigmas_type"] = "sigma_min"
        yield f"named_{name}", "DDIMScheduler", dict(SD, solver_order=1), dict(
            sampler=name, stands_for=single, insist=insist, steps=[7])
