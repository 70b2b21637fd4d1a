"""The linear schedule of 1000 steps (Ho et al. 2020), and the times of a shorter sampler."""

from __future__ import annotations

import torch
from torch import Tensor

from vitok_core.diffusion.check import STEPS

FIRST_BETA, LAST_BETA = 1e-4, 0.02

BETAS = torch.linspace(FIRST_BETA, LAST_BETA, STEPS, dtype=torch.float64)
ALPHA_BARS = torch.cumprod(1.0 - BETAS, 0)  # ᾱ: the signal's share of the variance


def spaced(steps: int) -> list[int]:
    """Times of a sampler of so many steps, from 999 down to 0, evenly spaced and rounded.

    Both ends are among them (improved diffusion's respacing); one step alone is at 999.
    """
    if not 1 <= steps <= STEPS:
        raise ValueError(f"a sampler takes 1 to {STEPS} steps, not {steps}")
    times = torch.linspace(STEPS - 1, 0, steps, dtype=torch.float64)
    return [int(time) for time in times.round().tolist()]


def at(table: Tensor, times: Tensor) -> Tensor:
    """The entries (b, 1, 1) float32 of a table (1000,) at times (b,)."""
    return table.float().to(times.device)[times.long()][:, None, None]


def shifted(t: Tensor, size: int, base: int) -> Tensor:
    """A flow's times in [0, 1], shifted to where codes of `size` values are as hard as of `base`.

    More values of one picture keep it visible under more noise: with α = √(size/base), t becomes
    α·t / (1 + (α - 1)·t) (Esser et al. 2024, §5.3.2; Zheng et al. 2025 by a code's dimension).
    Codes of fewer values are not shifted the other way: hardly any time would be left at the noise
    where it is decided what a sample becomes.
    """
    alpha = max(1.0, (size / base) ** 0.5)
    moved: Tensor = alpha * t / (1.0 + (alpha - 1.0) * t)
    return moved
