"""The learning rate: linear warm-up, then a cosine (§2.3)."""

from __future__ import annotations

import math

from vitok_core.config import TrainConfig


def learning_rate(config: TrainConfig, frames: int, step: int) -> float:
    """Learning rate of optimizer step `step` (the first is 0).

    Warm-up rises to the peak over `warmup` of the steps; the cosine then falls to `final_lr`, or
    stays level where the peak itself is no higher.
    """
    peak = config.peak_lr(frames)
    floor = min(config.final_lr, peak)
    rising = round(config.warmup * config.steps)
    if step < rising:
        return peak * (step + 1) / rising
    fall = (step - rising) / max(1, config.steps - rising)
    return floor + (peak - floor) * 0.5 * (1.0 + math.cos(math.pi * fall))
