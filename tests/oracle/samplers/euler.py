"""Euler's method."""
from diffusers import EulerDiscreteScheduler

from .common import COSINE, SD, TRAINED, ZERO_SNR

CLASSES = [EulerDiscreteScheduler]
SVD = dict(SD, prediction_type="v_prediction", timestep_type="continuous", timestep_spacing="leading",
           use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, steps_offset=1)


def cases():
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
