"""Samples from a generator: DDIM (Song et al. 2021) or a flow's solver, with guidance.

A sample's noise depends on (seed, its number) alone, so a picture is the same in any batch and on
any rank, but for the rounding of matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from vitok_core.config import SamplingConfig
from vitok_core.data.counter import noise
from vitok_core.diffusion.check import check_sampling
from vitok_core.diffusion.objectives import Diffusion, Flow, objective_of
from vitok_core.diffusion.schedule import ALPHA_BARS, spaced
from vitok_core.models.dit import CLOCK, Dit

START_STREAM = "sample noise"
STEP_STREAM = "sample noise of step"

# The model's output (b, l, c) at noised codes (b, l, c) and times (b,) on its clock.
Predict = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def sample(
    model: Dit,
    labels: Tensor,
    cfg: float,
    sampling: SamplingConfig,
    seed: int,
    indices: Sequence[int],
) -> Tensor:
    """Codes (b, l, c) float32 of these classes, as the tokenizer decodes them.

    Args:
        model: in evaluation mode; the codes come on its device.
        labels: classes (b,).
        cfg: guidance scale; 1: none.
        indices: the number of each sample, which its noise is drawn from.

    Raises:
        UserError: what is asked for does not go with the model's objective.
    """  # fmt: skip
    check_sampling(model.config, sampling, cfg)
    objective = objective_of(model.config, model.code_shape)
    device = model.mean.device

    def draw(stream: str) -> Tensor:
        return noise(seed, stream, indices, model.code_shape).to(device)

    predict = guided(model, labels.to(device), cfg)
    x = draw(START_STREAM)
    if isinstance(objective, Flow):
        x = integrate(predict, objective, x, sampling.steps, sampling.solver)
    elif isinstance(objective, Diffusion):
        x = ddim(predict, objective, x, sampling.steps, sampling.eta,
                 lambda step: draw(f"{STEP_STREAM} {step}"))  # fmt: skip
    return model.denormalise(x)


def guided(model: Dit, labels: Tensor, cfg: float) -> Predict:
    """Classifier-free guidance (Ho & Salimans 2022): none + cfg · (class - none), on all channels.

    With and without class in one batch; at cfg 1 and 0 one of the two alone.
    """
    none = torch.full_like(labels, model.classes)
    if cfg in (0, 1):
        chosen = labels if cfg else none
        return lambda x, t: model(x, t, chosen).float()
    both = torch.cat((labels, none))

    def predict(x: Tensor, t: Tensor) -> Tensor:
        output: Tensor = model(torch.cat((x, x)), torch.cat((t, t)), both)
        conditional, unconditional = output.float().chunk(2)
        return unconditional + cfg * (conditional - unconditional)

    return predict


def ddim(
    predict: Predict,
    objective: Diffusion,
    x: Tensor,
    steps: int,
    eta: float,
    draw: Callable[[int], Tensor],
) -> Tensor:
    """From noise x (b, l, c) to codes, in so many steps (Song et al. 2021).

    Args:
        eta: 0: deterministic; 1: with the posterior's variance, as DDPM.
        draw: the noise (b, l, c) of a step, by its number; called where eta is not 0.
    """  # fmt: skip
    times = spaced(steps)
    for step, time in enumerate(times):
        t = torch.full((len(x),), float(time), device=x.device)
        epsilon = objective.noise_of(predict(x, t), x, t)
        now = float(ALPHA_BARS[time])
        then = float(ALPHA_BARS[times[step + 1]]) if step + 1 < steps else 1.0
        x, sigma = ddim_step(x, epsilon, now, then, eta)
        if sigma:
            x = x + sigma * draw(step)
    return x


def ddim_step(
    x: Tensor, epsilon: Tensor, now: float, then: float, eta: float
) -> tuple[Tensor, float]:
    """From ᾱ = now to ᾱ = then (Eq. 12): the next codes' mean and standard deviation."""
    code = (x - (1 - now) ** 0.5 * epsilon) / now**0.5
    sigma = eta * ((1 - then) / (1 - now) * (1 - now / then)) ** 0.5
    return then**0.5 * code + max(1 - then - sigma**2, 0.0) ** 0.5 * epsilon, sigma


def integrate(predict: Predict, objective: Flow, x: Tensor, steps: int, solver: str) -> Tensor:
    """From noise x (b, l, c) down the flow to codes, by Euler's method, or by Heun's."""
    times = objective.shift(torch.linspace(1, 0, steps + 1, dtype=torch.float64)).tolist()
    for now, then in pairwise(times):
        velocity = _velocity(predict, x, now)
        ahead = x + (then - now) * velocity
        if solver == "heun":
            velocity = 0.5 * (velocity + _velocity(predict, ahead, then))
            ahead = x + (then - now) * velocity
        x = ahead
    return x


def _velocity(predict: Predict, x: Tensor, t: float) -> Tensor:
    return predict(x, torch.full((len(x),), CLOCK * t, device=x.device))
