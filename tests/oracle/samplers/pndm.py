"""PNDM, PLMS, iPNDM and DDIM inversion."""
from diffusers import DDIMInverseScheduler, IPNDMScheduler, PNDMScheduler

from .common import COSINE, SD, SD_DDIM, TRAINED, ZERO_SNR

CLASSES = [PNDMScheduler, IPNDMScheduler, DDIMInverseScheduler]
PLMS = dict(SD, skip_prk_steps=True)
FROM_4 = dict(steps=[4, 5, 7, 20, 50])


def cases():
    pndm = "PNDMScheduler"
    yield "pndm", pndm, {}, FROM_4
    for name, config in (("sd", dict(SD, steps_offset=1)), ("v", dict(SD, prediction_type="v_prediction")),
                         ("trailing", dict(SD, timestep_spacing="trailing")),
                         ("linspace", dict(COSINE, timestep_spacing="linspace")),
                         ("one", dict(SD, set_alpha_to_one=True)), ("trained", TRAINED)):
        yield f"pndm_{name}", pndm, config, FROM_4
        yield f"plms_{name}", pndm, dict(config, skip_prk_steps=True), {}
    yield "named_pndm", pndm, PLMS, dict(sampler="pndm", stands_for=pndm, insist=dict(skip_prk_steps=False), **FROM_4)
    yield "named_plms", "DDIMScheduler", SD_DDIM, dict(sampler="PLMS", stands_for=pndm, insist=dict(skip_prk_steps=True))
    yield "ipndm", "IPNDMScheduler", {}, {}
    yield "ipndm_trained", "IPNDMScheduler", dict(trained_betas=[1.0, 0.9, 0.75, 0.5, 0.3, 0.2, 0.1, 0.0]), dict(steps=[7])
    inverse = "DDIMInverseScheduler"
    yield "ddim_inverse", inverse, {}, {}
    yield "ddim_inverse_sd", inverse, SD_DDIM, {}
    yield "ddim_inverse_v", inverse, dict(SD, prediction_type="v_prediction", clip_sample_range=0.7), {}
    yield "ddim_inverse_sample", inverse, dict(SD_DDIM, prediction_type="sample"), {}
    yield "ddim_inverse_trailing", inverse, dict(COSINE, timestep_spacing="trailing"), {}
    yield "ddim_inverse_zero_snr", inverse, dict(ZERO_SNR, clip_sample=False), {}
    yield "ddim_inverse_trained", inverse, TRAINED, {}
