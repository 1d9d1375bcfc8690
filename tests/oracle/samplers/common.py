"""Configurations that several families share."""

SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SD_DDIM = dict(SD, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
COSINE = dict(beta_schedule="squaredcos_cap_v2")
ZERO_SNR = dict(SD, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing")
TRAINED = dict(trained_betas=[round(0.002 + 0.0015 * i + 0.01 * (i % 3), 4) for i in range(50)], num_train_timesteps=50)
THRESHOLD = dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=3.0)
