"""Methods that diffusers has no class for, written here from their papers, independently of the C code: the
general formulas in -log sigma, coefficients in f64, samples in f32. The schedule is EulerDiscreteScheduler's.

A method is a generator: it yields a sample and the level at which the model is to be asked about it, gets the
predicted clean sample back, and yields its last sample with level None.
"""
from math import exp, expm1, log, sqrt

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler

from .common import SD, ZERO_SNR


def ancestral_levels(sigma_from, sigma_to):
    up = sqrt(sigma_to**2 * (sigma_from**2 - sigma_to**2) / sigma_from**2)
    return sigma_to**2 / sigma_from, up


def euler_to(x, denoised, sigma, target):
    return x + (x - denoised) / sigma * (target - sigma)


def sample_dpmpp_2s_ancestral(x, sigmas, n, draw):
    """Lu et al. 2022 (DPM-Solver++), algorithm 1, with r = 1/2."""
    for sigma, target in zip(sigmas[:-1], sigmas[1:]):
        denoised = yield x, sigma
        if target == 0:
            x = euler_to(x, denoised, sigma, target)
            break
        down, up = ancestral_levels(sigma, target)
        t, t_next = -log(sigma), -log(down)
        h = t_next - t
        s = t + h / 2
        u = exp(-s) / exp(-t) * x - expm1(-h / 2) * denoised
        denoised = yield u, exp(-s)
        x = exp(-t_next) / exp(-t) * x - expm1(-h) * denoised + up * draw()
    yield x, None


def sample_dpmpp_3m_sde(x, sigmas, n, draw):
    """k-diffusion's third order with eta 1: exponential integrator of the reverse SDE on a quadratic."""
    seen, lengths = [], []
    for sigma, target in zip(sigmas[:-1], sigmas[1:]):
        denoised = yield x, sigma
        seen.insert(0, denoised)
        if target == 0:
            x = denoised
            break
        h = log(sigma) - log(target)
        two_h = 2 * h
        x = exp(-two_h) * x - expm1(-two_h) * denoised
        phi_2 = expm1(-two_h) / two_h + 1
        phi_3 = phi_2 / two_h - 0.5
        if len(lengths) > 1:
            r0, r1 = lengths[0] / h, lengths[1] / h
            d1_0, d1_1 = (seen[0] - seen[1]) / r0, (seen[1] - seen[2]) / r1
            d1 = d1_0 + (d1_0 - d1_1) * (r0 / (r0 + r1))
            d2 = (d1_0 - d1_1) / (r0 + r1)
            x = x + phi_2 * d1 - phi_3 * d2
        elif lengths:
            x = x + phi_2 * ((seen[0] - seen[1]) / (lengths[0] / h))
        lengths.insert(0, h)
        x = x + draw() * (target * sqrt(-expm1(-2 * h)))
    yield x, None


def sample_dpm_fast(x, sigmas, n, draw):
    """Lu et al. 2022 (DPM-Solver), algorithms 1 and 2 and section 3.4, from sigmas[0] to sigmas[-2]."""
    orders = [3] * (n // 3 - 1) + [2, 1] if n % 3 == 0 else [3] * (n // 3) + [n % 3]
    ts = np.linspace(-log(sigmas[0]), -log(sigmas[-2]), len(orders) + 1)
    for order, t, t_next in zip(orders, ts[:-1], ts[1:]):
        h, start = t_next - t, x
        eps = (x - (yield x, exp(-t))) / exp(-t)
        if order == 1:
            x = start - exp(-t_next) * expm1(h) * eps
            continue
        r1, r2 = (1 / 2, None) if order == 2 else (1 / 3, 2 / 3)
        s1 = t + r1 * h
        u = start - exp(-s1) * expm1(r1 * h) * eps
        eps_1 = (u - (yield u, exp(-s1))) / exp(-s1)
        if order == 2:
            x = start - exp(-t_next) * expm1(h) * eps - exp(-t_next) / (2 * r1) * expm1(h) * (eps_1 - eps)
            continue
        s2 = t + r2 * h
        u = (start - exp(-s2) * expm1(r2 * h) * eps
             - exp(-s2) * (r2 / r1) * (expm1(r2 * h) / (r2 * h) - 1) * (eps_1 - eps))
        eps_2 = (u - (yield u, exp(-s2))) / exp(-s2)
        x = (start - exp(-t_next) * expm1(h) * eps
             - exp(-t_next) / r2 * (expm1(h) / h - 1) * (eps_2 - eps))
    yield x, None


def restarts(n):
    return (0, 0) if n < 20 else (1, 9) if n < 36 else (2, n // 4)


def restart_sampler(x, sigmas, n, draw):
    """Xu et al. 2023, algorithm 1, on Heun's method."""
    times, steps = restarts(n)
    low, high = (int(np.abs(np.array(sigmas) - level).argmin()) for level in (0.1, 2.0))
    pairs = []
    for i, pair in enumerate(zip(sigmas[:-1], sigmas[1:])):
        pairs.append(pair)
        if times and high < low and i + 1 == low:
            ramp = np.linspace(sigmas[high] ** (1 / 7), sigmas[low] ** (1 / 7), steps + 1) ** 7
            pairs += times * list(zip(ramp[:-1].tolist(), ramp[1:].tolist()))
    at = sigmas[0]
    for sigma, target in pairs:
        if sigma > at:
            x = x + draw() * sqrt(sigma**2 - at**2)
        slope = (x - (yield x, sigma)) / sigma
        if target == 0:
            x = x + slope * (target - sigma)
        else:
            y = x + slope * (target - sigma)
            x = x + (slope + (y - (yield y, target)) / target) / 2 * (target - sigma)
        at = target
    yield x, None


class Method:
    """Drives a generator as the script drives diffusers' schedulers."""
    restarts = staticmethod(lambda n: (0, 0))

    def __init__(self, config):
        self.euler = EulerDiscreteScheduler.from_config({"timestep_spacing": "linspace", **config})
        self.config = self.euler.config

    @classmethod
    def from_config(cls, config):
        return cls(config)

    def timestep_of(self, sigma):
        """Where training had that sigma, in f32 where diffusers' KDPM2 has f32."""
        alphas = self.euler.alphas_cumprod.numpy()
        table = np.log(np.sqrt(((1 - alphas) / alphas).astype(np.float64)).astype(np.float32))
        return np.interp(np.log(np.float32(sigma)).astype(np.float64), table.astype(np.float64), np.arange(len(table)))

    def on_base(self, sigma):
        """The timestep of the schedule's level that this is but for rounding."""
        nearest = int(np.abs(np.array(self.schedule) / sigma - 1).argmin())
        assert abs(self.schedule[nearest] / sigma - 1) < 1e-9
        return self.euler.timesteps.tolist()[nearest]

    def run(self, x):
        return type(self).sample(x, self.schedule, self.n, lambda: self.recorded(x.shape))

    def set_timesteps(self, n):
        times, steps = self.restarts(n)
        self.n = n
        self.euler.set_timesteps(max(n - times * steps, self.least))
        self.schedule = self.euler.sigmas.tolist()
        self.init_noise_sigma = self.euler.init_noise_sigma
        levels, dry, recorded = [], None, self.recorded
        self.recorded = torch.zeros
        dry = self.run(torch.zeros(1))
        _, level = next(dry)
        while level is not None:
            levels.append(level)
            _, level = dry.send(torch.zeros(1))
        self.recorded = recorded
        end = self.schedule[-2 if type(self) is DPMFast else -1]
        self.levels = levels
        self.sigmas = torch.tensor(levels + [end], dtype=torch.float32)
        self.timesteps = torch.tensor([self.on_base(level) if self.on_schedule else self.timestep_of(level)
                                       for level in levels], dtype=torch.float32)
        self.started = None

    def scale_model_input(self, sample, t):
        if self.started is None:
            self.started, self.k = self.run(sample), 0
            next(self.started)
        return sample / (self.sigmas[self.k] ** 2 + 1) ** 0.5

    def step(self, output, t, sample):
        sigma = self.sigmas[self.k]
        kind = self.config.prediction_type
        denoised = (output if kind == "sample" else sample - sigma * output if kind == "epsilon" else
                    output * (-sigma / (sigma**2 + 1) ** 0.5) + sample / (sigma**2 + 1))
        self.k += 1
        return type("Output", (), dict(prev_sample=self.started.send(denoised)[0]))


class DPMpp2SAncestral(Method):
    sample, least, on_schedule = staticmethod(sample_dpmpp_2s_ancestral), 1, True


class DPMpp3MSDE(Method):
    sample, least, on_schedule = staticmethod(sample_dpmpp_3m_sde), 1, True


class DPMFast(Method):
    sample, least, on_schedule = staticmethod(sample_dpm_fast), 2, False


class Restart(Method):
    sample, least, on_schedule = staticmethod(restart_sampler), 1, False
    restarts = staticmethod(restarts)


CLASSES = [DPMpp2SAncestral, DPMpp3MSDE, DPMFast, Restart]


def prepare(scheduler, noise):
    scheduler.recorded = noise


def cases():
    euler = "EulerDiscreteScheduler"
    for short, name, title, cls in (("2s_a", "dpmpp_2s_a", "DPM++ 2S a", "DPMpp2SAncestral"),
                                    ("3m_sde", "dpmpp_3m_sde", "DPM++ 3M SDE", "DPMpp3MSDE"),
                                    ("fast", "dpm_fast", "DPM fast", "DPMFast"), ("restart", "restart", "Restart", "Restart")):
        yield short, euler, {}, dict(sampler=name, stands_for=cls)
        yield f"{short}_karras", euler, SD, dict(sampler=title, schedule="karras", stands_for=cls)
        yield f"{short}_leading_v", euler, dict(SD, timestep_spacing="leading", steps_offset=1, use_exponential_sigmas=True,
                                                prediction_type="v_prediction"), dict(sampler=name, stands_for=cls)
        yield f"{short}_sample_beta", euler, dict(SD, use_beta_sigmas=True, prediction_type="sample"), dict(
            sampler=name, stands_for=cls)
    yield "3m_sde_zero_snr", euler, ZERO_SNR, dict(sampler="dpmpp_3m_sde", stands_for="DPMpp3MSDE")
    yield "restart_range", euler, dict(SD, sigma_min=0.05, sigma_max=10.0, use_karras_sigmas=True), dict(sampler="restart", stands_for="Restart")
