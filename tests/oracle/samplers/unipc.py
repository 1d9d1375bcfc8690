"""UniPC."""
from diffusers import UniPCMultistepScheduler

from .common import COSINE, SD, THRESHOLD, TRAINED, ZERO_SNR
from .dpm_multistep import FLOW, MIN

CLASSES = [UniPCMultistepScheduler]


def configs():
    yield "default", {}
    yield "sd", SD
    for solver in ("bh1", "bh2"):
        for order in (1, 2, 3):
            yield f"{solver}_{order}", dict(MIN if solver == "bh1" else SD, solver_type=solver, solver_order=order)
            yield f"{solver}_{order}_noise", dict(MIN, solver_type=solver, solver_order=order, predict_x0=False)
    for prediction in ("sample", "v_prediction"):
        yield prediction, dict(SD, prediction_type=prediction)
        yield f"{prediction}_noise", dict(MIN, prediction_type=prediction, predict_x0=False)
    yield "min_3_full", dict(MIN, solver_order=3, lower_order_final=False)
    yield "uncorrected", dict(SD, disable_corrector=[0, 3], solver_order=3)
    yield "leading", dict(SD, timestep_spacing="leading", steps_offset=1)
    yield "trailing", dict(SD, timestep_spacing="trailing", solver_type="midpoint")
    yield "karras", dict(SD, use_karras_sigmas=True)
    yield "karras_min", dict(MIN, use_karras_sigmas=True, sigma_min=0.05, sigma_max=10.0, beta_schedule="squaredcos_cap_v2")
    yield "exponential", dict(SD, use_exponential_sigmas=True)
    yield "beta", dict(SD, use_beta_sigmas=True)
    yield "flow", FLOW
    yield "flow_min", dict(FLOW, flow_shift=1.0, final_sigmas_type="sigma_min", solver_order=3)
    yield "flow_karras", dict(FLOW, use_karras_sigmas=True, sigma_min=0.01, sigma_max=200.0)
    yield "cosine", COSINE
    yield "zero_snr", ZERO_SNR
    yield "threshold", THRESHOLD
    yield "threshold_noise", dict(THRESHOLD, predict_x0=False, final_sigmas_type="sigma_min")


def cases():
    for name, config in configs():
        yield f"unipc_{name}", "UniPCMultistepScheduler", config, {}
    yield "unipc_trained", "UniPCMultistepScheduler", TRAINED, dict(steps=[1, 2, 4, 7, 20])
