"""Flow matching."""
import numpy as np
from diffusers import (FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler, FlowMatchLCMScheduler)

CLASSES = [FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler, FlowMatchLCMScheduler]
EULER = "FlowMatchEulerDiscreteScheduler"
FEW = dict(steps=[1, 2, 4, 7, 20])
FLUX = dict(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, shift=3.0)


def set_timesteps(scheduler, n, overrides):
    given = {k: overrides[k] for k in ("mu", "sigmas", "timesteps") if k in overrides}
    if overrides.get("sampler") == "rectified_flow":
        given["sigmas"] = np.linspace(1, 1 / n, n)
    scheduler.set_timesteps(n, **given)


def cases():
    yield "flow_euler", EULER, {}, {}
    yield "flow_euler_sd3", EULER, dict(shift=3.0), {}
    yield "flow_euler_flux", EULER, FLUX, dict(FEW, mu=0.8)
    yield "flow_euler_linear", EULER, dict(FLUX, time_shift_type="linear"), dict(FEW, mu=1.7)
    yield "flow_euler_karras", EULER, dict(shift=3.0, use_karras_sigmas=True), FEW
    yield "flow_euler_exponential", EULER, dict(use_exponential_sigmas=True), FEW
    yield "flow_euler_beta", EULER, dict(FLUX, use_beta_sigmas=True), dict(FEW, mu=0.5)
    yield "flow_euler_inverted", EULER, dict(invert_sigmas=True, shift=2.0), FEW
    yield "flow_euler_terminal", EULER, dict(FLUX, shift_terminal=0.1), dict(steps=[2, 4, 7, 20], mu=1.15)
    yield "flow_euler_stochastic", EULER, dict(stochastic_sampling=True), FEW
    yield "flow_euler_few_timesteps", EULER, dict(num_train_timesteps=77, shift=1.3), FEW
    yield "flow_euler_sigmas", EULER, dict(shift=3.0), dict(sigmas=[1.0, 0.7, 0.55, 0.2])
    yield "flow_euler_sigmas_flux", EULER, FLUX, dict(sigmas=[1.0, 0.75, 0.5, 0.25], mu=0.9)
    yield "flow_euler_sigmas_terminal", EULER, dict(shift=3.0, shift_terminal=0.2), dict(sigmas=[1.0, 0.8, 0.3])
    yield "flow_euler_timesteps", EULER, dict(shift=2.0), dict(timesteps=[1000.0, 800.0, 433.3, 125.0])
    yield "flow_euler_both", EULER, {}, dict(timesteps=[990.0, 500.0, 100.0], sigmas=[0.9, 0.6, 0.1])
    yield "rectified_flow", EULER, dict(shift=3.0), dict(sampler="rectified_flow", insist=dict(shift=1.0))
    yield "flow_heun", "FlowMatchHeunDiscreteScheduler", {}, {}
    yield "flow_heun_sd3", "FlowMatchHeunDiscreteScheduler", dict(shift=3.0), FEW
    yield "flow_lcm", "FlowMatchLCMScheduler", {}, FEW
    yield "flow_lcm_flux", "FlowMatchLCMScheduler", FLUX, dict(FEW, mu=1.0)
