"""The methods for models with EDM's preconditioning. CosineDPMSolverMultistepScheduler draws from torchsde's
Brownian tree; here each of its draws is one of the recorded ones.
"""
import torch
from diffusers import EDMDPMSolverMultistepScheduler, EDMEulerScheduler


from .sigma import prepare, set_timesteps, step  # sigma.py also stands in for torchsde
from diffusers.schedulers.scheduling_cosine_dpmsolver_multistep import CosineDPMSolverMultistepScheduler

CLASSES = [EDMEulerScheduler, EDMDPMSolverMultistepScheduler, CosineDPMSolverMultistepScheduler]

# Powers and arc tangents of f32 numbers correctly rounded too, as the script has the other functions.
power = torch.Tensor.__pow__
torch.Tensor.__pow__ = lambda x, e: (x.double() ** e).float() if e == 7.0 and x.dtype == torch.float32 else power(x, e)
torch.Tensor.atan = lambda x: torch.atan(x.double()).float()




def cases():
    euler, edm, cosine = (c.__name__ for c in CLASSES)
    yield "edm_euler", euler, {}, {}
    yield "edm_euler_exponential", euler, dict(sigma_schedule="exponential", sigma_max=40.0), {}
    yield "edm_euler_v", euler, dict(prediction_type="v_prediction", sigma_data=1.0, rho=5.0), {}
    yield "edm_euler_sigma_min", euler, dict(final_sigmas_type="sigma_min"), {}
    yield "edm_euler_churn", euler, dict(s_churn=40.0, s_tmin=0.05, s_tmax=50.0, s_noise=1.003), {}
    yield "edm_2m", edm, {}, {}
    yield "edm_2m_heun", edm, dict(solver_type="heun", sigma_schedule="exponential"), {}
    yield "edm_2m_not_lower", edm, dict(lower_order_final=False, prediction_type="v_prediction"), {}
    yield "edm_2m_euler_at_final", edm, dict(euler_at_final=True, final_sigmas_type="sigma_min"), {}
    yield "edm_2m_threshold", edm, dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=3.0), {}
    yield "edm_1m", edm, dict(solver_order=1), {}
    yield "edm_2m_sde", edm, dict(algorithm_type="sde-dpmsolver++"), {}
    yield "edm_2m_sde_heun", edm, dict(algorithm_type="sde-dpmsolver++", solver_type="heun"), {}
    yield "edm_3m", edm, dict(solver_order=3), {}
    yield "edm_3m_exponential", edm, dict(solver_order=3, sigma_schedule="exponential", lower_order_final=False), {}
    yield "edm_named_2m_sde", edm, dict(solver_order=3), dict(
        sampler="edm_dpmpp_2m_sde", insist=dict(solver_order=2, algorithm_type="sde-dpmsolver++"))
    yield "edm_named_3m", edm, {}, dict(sampler="EDM DPM++ 3M", insist=dict(solver_order=3))
    yield "cosine", cosine, {}, {}
    yield "cosine_karras", cosine, dict(sigma_schedule="karras"), {}
    yield "cosine_heun", cosine, dict(solver_type="heun", prediction_type="epsilon", sigma_data=0.5), {}
    yield "cosine_1m", cosine, dict(solver_order=1), {}
