"""What changes with the step: learning rates (§2.3) and the adversarial term's weight (§8.2)."""

from __future__ import annotations

import math

from vitok_core.config import GanConfig, TrainConfig

_GAN_BATCH = 256  # the steps of `GanConfig` are steps of so many clips


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


def discriminator_rate(config: GanConfig, batch: int, step: int) -> float:
    """The discriminator's learning rate at step `step`: linear warm-up, then constant.

    The paper names a rate and a warm-up and no decay, so there is none.
    """
    if config.disc_warmup == 0:
        return config.disc_lr
    return config.disc_lr * min(1.0, (step + 1) * batch / _GAN_BATCH / config.disc_warmup)


def gan_weight(config: GanConfig, batch: int, step: int) -> float:
    """λ at step `step`: zero for `start` steps, then rising linearly over `ramp` of them."""
    risen = step * batch / _GAN_BATCH - config.start
    if config.ramp == 0:
        return config.weight if risen >= 0 else 0.0
    return config.weight * min(1.0, max(0.0, risen / config.ramp))
