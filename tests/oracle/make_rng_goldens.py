"""Goldens for the random generators: draws by PyTorch, and by Philox 4x32-10 in numpy as
stable-diffusion-webui's modules/rng_philox.py defines the noise.

    make_rng_goldens.py    writes tests/data/rng/draws.txt (on a processor with AVX2)

A line is: generator, seed, the number of calls, the calls (n17: 17 normals, u5: 5 uniforms), the
FNV-1a hash (64 bits) over the values of all calls as little-endian float32, and the number and the
bits of the first values.
"""
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).resolve().parent.parent / "data" / "rng" / "draws.txt"
SEEDS = (0, 1, 42, 1234, 2**31, 2**32 - 1, 2**32 + 5, 2**63)
SIZES = (1, 2, 15, 16, 17, 31, 32, 33, 100, 1000, 4 * 64 * 64, 3 * 16 * 16)
SEQUENCES = (
    "n1 n1 n1 n2 n15 n15",  # the second of a pair waits for the next call
    "n1 n16 n1 n17 u3 n15 n2 n1000 n7 u1 n33",  # and stays over calls of the other kind
    "u1 u623 u1 u624 u625 n16",  # around the ends of the twister's state
    "n3 n0 n5 u0 n16 n0 n1",  # empty draws
    "n16384 n16384 n16384",
)
N_SHOWN = 3


class Torch:
    def __init__(self, seed):
        self.generator = torch.Generator("cpu").manual_seed(seed)

    def normal(self, n):
        return torch.randn(n, generator=self.generator, dtype=torch.float32).numpy()

    def uniform(self, n):
        return torch.rand(n, generator=self.generator, dtype=torch.float32).numpy()


class Philox:
    def __init__(self, seed):
        self.seed = seed
        self.n_calls = 0

    def words(self, n):
        """Two of the four words of each element; a call of no element leaves the state alone."""
        low = np.uint64(0xFFFFFFFF)
        half = np.uint64(32)
        key = [self.seed & 0xFFFFFFFF, self.seed >> 32]
        c = [np.full(n, self.n_calls, np.uint64), np.zeros(n, np.uint64),
             np.arange(n, dtype=np.uint64), np.zeros(n, np.uint64)]
        for _ in range(10):
            a = c[0] * np.uint64(0xD2511F53)
            b = c[2] * np.uint64(0xCD9E8D57)
            c = [(b >> half) ^ c[1] ^ np.uint64(key[0]), b & low,
                 (a >> half) ^ c[3] ^ np.uint64(key[1]), a & low]
            key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
        self.n_calls += n > 0
        return c[0].astype(np.float64), c[1].astype(np.float64)

    def normal(self, n):
        x, y = self.words(n)
        inverse = np.float64(np.float32(2.3283064e-10))
        turn = np.float64(np.float32(2.3283064e-10 * 6.2831855))
        u = x * inverse + inverse / 2
        v = y * turn + turn / 2
        return (np.sqrt(-2.0 * np.log(u)) * np.sin(v)).astype(np.float32)

    def uniform(self, n):
        x, _ = self.words(n)
        value = x.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
        return np.where(value < 1, value, np.float32(0))


def fnv1a(data):
    hash_ = 0xCBF29CE484222325
    for byte in data:
        hash_ = (hash_ ^ byte) * 0x100000001B3 % 2**64
    return hash_


def line(name, generator, seed, calls):
    g = generator(seed)
    draws = [(g.normal if c[0] == "n" else g.uniform)(int(c[1:])) for c in calls.split()]
    bits = np.concatenate(draws).astype("<f4")
    shown = [f"{word:08x}" for word in bits[:N_SHOWN].view("<u4")]
    return (f"{name} {seed} {len(draws)} {calls} {fnv1a(bits.tobytes()):016x} "
            f"{len(shown)} {' '.join(shown)}")


def main():
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        raise SystemExit("PyTorch draws other numbers without AVX2")
    lines = [line("torch", Torch, s, f"n{n}") for s in SEEDS for n in SIZES]
    lines += [line("torch", Torch, s, calls) for s in (0, 42, 2**32 + 5) for calls in SEQUENCES]
    lines += [line("philox", Philox, s, f"n{n}") for s in SEEDS for n in (1, 100, 4 * 64 * 64)]
    lines += [line("philox", Philox, 2**40 + 7, calls) for calls in SEQUENCES]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n".join(lines) + "\n")


main()
