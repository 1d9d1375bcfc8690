"""Methods that diffusers has no class for, written here from their papers, independently of the C code: the
general formulas in -log sigma, coefficients in f64, samples in f32. The schedule is EulerDiscreteScheduler's.

A method is a generator: it yields a sample and the level at which the model is to be asked about it, gets the
predicted clean sample back, and yields its last sample with level None.
"""
from math import atan, exp, expm1, log, sqrt

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


def sample_dpm_adaptive(x, sigmas, draw, order, rtol, atol, h_init, eta, s_noise):
    """Lu et al. 2022 (DPM-Solver), appendix C, with k-diffusion's control of the length. e is asked for once."""
    t, end, h, eps, before = -log(sigmas[0]), -log(sigmas[-2]), h_init, None, x
    while t < end - 1e-5:
        target = min(end, t + h)
        down, _ = ancestral_levels(exp(-t), exp(-target))
        up = eta * sqrt(exp(-2 * target) - down**2)
        solved = min(end, -log(sqrt(exp(-2 * target) - up**2)))
        length = solved - t
        if eps is None:
            eps = (x - (yield x, exp(-t))) / exp(-t)
        r = 1 / order
        first = x - exp(-solved) * expm1(length) * eps
        s = t + r * length
        u = x - exp(-s) * expm1(r * length) * eps
        change = (u - (yield u, exp(-s))) / exp(-s) - eps
        second = first - exp(-solved) * expm1(length) / (2 * r) * change
        low, high = first, second
        if order == 3:
            s, part = t + 2 / 3 * length, 2 / 3 * length
            u = x - exp(-s) * expm1(part) * eps - exp(-s) * 2 * (expm1(part) / part - 1) * change
            change = (u - (yield u, exp(-s))) / exp(-s) - eps
            low, high = second, first - exp(-solved) * 1.5 * (expm1(length) / length - 1) * change
        allowed = torch.clamp(rtol * torch.maximum(low.abs(), before.abs()), min=atol)
        error = ((low - high) / allowed).double().square().mean().sqrt().item()
        factor = 1 + atan((error + 1e-8) ** (-1 / (1.5 if eta else order)) - 1)
        h *= factor
        if factor >= 0.81:
            x, eps, before, t = high, None, low, target
            if eta:
                x = x + draw() * (s_noise * sqrt(exp(-2 * target) - exp(-2 * solved)))
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

    def denoised(self, output, sample, sigma):
        kind = self.config.prediction_type
        return (output if kind == "sample" else sample - sigma * output if kind == "epsilon" else
                output * (-sigma / (sigma**2 + 1) ** 0.5) + sample / (sigma**2 + 1))

    def scale_model_input(self, sample, t):
        if self.started is None:
            self.started, self.k = self.run(sample), 0
            next(self.started)
        return sample / (self.sigmas[self.k] ** 2 + 1) ** 0.5

    def step(self, output, t, sample, eta=0):
        denoised = self.denoised(output, sample, self.sigmas[self.k])
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


class DPMAdaptive(Method):
    """Its timesteps follow from the answers, so a run on the recorded ones goes before."""

    def __init__(self, config):
        super().__init__(config)
        names = dict(solver_order=3, rtol=0.05, atol=0.0078, h_init=0.05, eta=0, s_noise=1)
        self.options = [config.get(name, value) for name, value in names.items()]

    def run(self, x):
        return sample_dpm_adaptive(x, self.schedule, lambda: self.recorded(x.shape), *self.options)

    def set_timesteps(self, n):
        from make_sampler_goldens import make_inputs
        inputs, self.levels, self.started = make_inputs(), [], None
        self.euler.set_timesteps(max(n, 2))
        self.schedule = self.euler.sigmas.tolist()
        self.init_noise_sigma = self.euler.init_noise_sigma
        dry = self.run(inputs["noise"] * self.init_noise_sigma)
        x, level = next(dry)
        while level is not None:
            output = inputs["model_output"][len(self.levels)][:, :2]
            self.levels.append(level)
            x, level = dry.send(self.denoised(output, x, torch.tensor(level, dtype=torch.float32)))
        self.recorded.n_draws = 0
        self.sigmas = torch.tensor(self.levels + [self.schedule[-2]], dtype=torch.float32)
        self.timesteps = torch.tensor([self.euler.timesteps[0].item()] + [self.timestep_of(s) for s in self.levels[1:]],
                                      dtype=torch.float32)


CLASSES = [DPMpp2SAncestral, DPMpp3MSDE, DPMFast, DPMAdaptive, Restart]


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
    adaptive, loose = "sample_dpm_adaptive", dict(SD, rtol=0.4, atol=0.1, h_init=0.5)
    cls = dict(stands_for="DPMAdaptive", steps=[20])
    yield "adaptive", euler, loose, dict(sampler="dpm_adaptive", insist=dict(solver_order=3), **cls)
    yield "adaptive_2", adaptive, dict(loose, solver_order=2, timestep_spacing="leading", steps_offset=1), dict(cls, steps=[1, 20])
    yield "adaptive_long", adaptive, dict(loose, h_init=4.0, prediction_type="v_prediction"), cls
    yield "adaptive_karras_sample", adaptive, dict(loose, use_karras_sigmas=True, prediction_type="sample", sigma_min=0.1,
                                                   sigma_max=8.0), cls
    yield "adaptive_eta", adaptive, dict(loose, s_noise=1.01), dict(cls, eta=1.0, insist=dict(eta=1.0))
    yield "adaptive_eta_2", adaptive, dict(loose, solver_order=2, rtol=0.3), dict(cls, eta=0.5, insist=dict(eta=0.5))
    yield "3m_sde_zero_snr", euler, ZERO_SNR, dict(sampler="dpmpp_3m_sde", stands_for="DPMpp3MSDE")
    yield "restart_range", euler, dict(SD, sigma_min=0.05, sigma_max=10.0, use_karras_sigmas=True), dict(sampler="restart", stands_for="Restart")
