"""SA-Solver."""
from diffusers import SASolverScheduler

from .common import COSINE, SD, THRESHOLD, TRAINED
from .dpm_multistep import FLOW, step

CLASSES = [SASolverScheduler]


def configs():
    yield "default", {}
    for algorithm in ("data", "noise"):
        for predictor, corrector in ((1, 1), (2, 2), (3, 3), (4, 4), (1, 3), (3, 1)):
            yield f"{algorithm}_{predictor}{corrector}", dict(
                SD, algorithm_type=f"{algorithm}_prediction", predictor_order=predictor, corrector_order=corrector)
        yield f"{algorithm}_full", dict(SD, algorithm_type=f"{algorithm}_prediction", predictor_order=3,
                                        corrector_order=4, lower_order_final=False)
        for prediction in ("sample", "v_prediction"):
            yield f"{algorithm}_{prediction}", dict(SD, prediction_type=prediction,
                                                    algorithm_type=f"{algorithm}_prediction")
    yield "leading", dict(SD, timestep_spacing="leading", steps_offset=1)
    yield "trailing", dict(SD, timestep_spacing="trailing")
    yield "karras", dict(SD, use_karras_sigmas=True)
    yield "exponential", dict(SD, use_exponential_sigmas=True)
    yield "beta", dict(SD, use_beta_sigmas=True, sigma_min=0.05, sigma_max=10.0)
    yield "flow", FLOW
    yield "clipped", dict(COSINE, lambda_min_clipped=-5.1)
    yield "threshold", THRESHOLD
    yield "learned", dict(SD, variance_type="learned")


def cases():
    for name, config in configs():
        yield f"sa_solver_{name}", "SASolverScheduler", config, {}
    yield "sa_solver_trained", "SASolverScheduler", TRAINED, dict(steps=[1, 2, 4, 7, 20])
