"""DPM-Solver and DPM-Solver++ by several steps' answers."""
from diffusers import DPMSolverMultistepScheduler

from .common import COSINE, SD, THRESHOLD, TRAINED, ZERO_SNR

CLASSES = [DPMSolverMultistepScheduler]
MIN = dict(SD, final_sigmas_type="sigma_min")
FLOW = dict(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0)
ALGORITHMS = {"pp": "dpmsolver++", "noise": "dpmsolver", "sde_pp": "sde-dpmsolver++", "sde_noise": "sde-dpmsolver"}


def step(scheduler, output, t, sample, options):
    """diffusers takes the first three channels of a model that predicts a variance, whatever the sample has."""
    return scheduler.step(output[:, :2], t, sample, **options).prev_sample


def configs():
    yield "default", {}
    yield "sd", SD
    for short, algorithm in ALGORITHMS.items():
        for order in (1, 2, 3):
            if (short, order) != ("sde_noise", 3):  # diffusers fails
                yield f"{short}_{order}", dict(MIN, algorithm_type=algorithm, solver_order=order)
        yield f"{short}_heun", dict(MIN, algorithm_type=algorithm, solver_type="heun", lower_order_final=False)
        for prediction in ("sample", "v_prediction"):
            yield f"{short}_{prediction}", dict(MIN, algorithm_type=algorithm, prediction_type=prediction)
    yield "zero_3", dict(SD, solver_order=3)
    yield "zero_sde_3_full", dict(SD, solver_order=3, algorithm_type="sde-dpmsolver++", lower_order_final=False)
    yield "euler_at_final", dict(MIN, euler_at_final=True)
    yield "leading", dict(SD, timestep_spacing="leading", steps_offset=1)
    yield "trailing", dict(SD, timestep_spacing="trailing")
    yield "karras", dict(SD, use_karras_sigmas=True)
    yield "karras_range", dict(SD, use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0)
    yield "karras_cosine", dict(COSINE, use_karras_sigmas=True)
    yield "karras_sde", dict(SD, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++")
    yield "exponential", dict(SD, use_exponential_sigmas=True)
    yield "beta", dict(SD, use_beta_sigmas=True)
    yield "lu", dict(SD, use_lu_lambdas=True)
    yield "lu_cosine_3", dict(COSINE, use_lu_lambdas=True, solver_order=3, lower_order_final=False)
    yield "flow", FLOW
    yield "flow_sde", dict(FLOW, algorithm_type="sde-dpmsolver++", solver_type="heun")
    yield "flow_v", dict(FLOW, prediction_type="v_prediction")
    yield "clipped", dict(COSINE, lambda_min_clipped=-5.1)
    yield "clipped_leading", dict(COSINE, lambda_min_clipped=-5.1, timestep_spacing="leading")
    yield "clipped_trailing", dict(COSINE, lambda_min_clipped=-5.1, timestep_spacing="trailing")
    yield "zero_snr", ZERO_SNR
    yield "zero_snr_epsilon", dict(ZERO_SNR, prediction_type="epsilon", solver_order=3)
    yield "threshold", dict(THRESHOLD)
    yield "threshold_noise", dict(THRESHOLD, algorithm_type="dpmsolver", final_sigmas_type="sigma_min")
    yield "learned", dict(SD, variance_type="learned_range")
    yield "deis", dict(MIN, algorithm_type="deis", solver_type="logrho")


def cases():
    for name, config in configs():
        yield f"dpmpp_2m_{name}", "DPMSolverMultistepScheduler", config, {}
    yield "dpmpp_2m_trained", "DPMSolverMultistepScheduler", TRAINED, dict(steps=[1, 2, 4, 7, 20])
    for name, algorithm, order in (("DPM++ 2M", "dpmsolver++", 2), ("dpmpp_2m_sde", "sde-dpmsolver++", 2),
                                   ("dpmpp_3m", "dpmsolver++", 3), ("dpm_2m", "dpmsolver", 2),
                                   ("dpm_3m", "dpmsolver", 3)):
        insist = dict(algorithm_type=algorithm, solver_order=order)
        if algorithm == "dpmsolver":
            insist["final_sigmas_type"] = "sigma_min"
        yield f"named_{name}", "DDIMScheduler", dict(SD, solver_order=1), dict(
            sampler=name, stands_for="DPMSolverMultistepScheduler", insist=insist)
