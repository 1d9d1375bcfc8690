"""What DDIM and DDPM share."""
from .common import COSINE, SD, SD_DDIM, THRESHOLD, TRAINED, ZERO_SNR


def discrete_cases(short):
    """What DDIM and DDPM share."""
    yield f"{short}", {}
    yield f"{short}_sd", SD_DDIM if short == "ddim" else dict(SD, clip_sample=False, steps_offset=1)
    yield f"{short}_trailing", dict(SD, clip_sample=False, timestep_spacing="trailing")
    yield f"{short}_linspace", dict(SD, clip_sample=False, timestep_spacing="linspace")
    yield f"{short}_sample", dict(SD, clip_sample=False, prediction_type="sample")
    yield f"{short}_sample_clipped", dict(prediction_type="sample", clip_sample_range=0.7)
    yield f"{short}_v", dict(SD, clip_sample=False, prediction_type="v_prediction")
    yield f"{short}_v_clipped", dict(SD, prediction_type="v_prediction", clip_sample_range=1.5)
    yield f"{short}_cosine", COSINE
    yield f"{short}_cosine_unclipped", dict(COSINE, clip_sample=False)
    yield f"{short}_trained", TRAINED
    yield f"{short}_zero_snr", dict(ZERO_SNR, clip_sample=False)
    yield f"{short}_threshold", THRESHOLD
    yield f"{short}_threshold_low", dict(THRESHOLD, sample_max_value=1.0, dynamic_thresholding_ratio=0.5)
    yield f"{short}_few_timesteps", dict(num_train_timesteps=77, beta_end=0.1)
