"""What a generator learns to predict of a noised code: the noise, v, or a flow's velocity.

Each objective knows how codes are noised, its loss, and how a prediction becomes the sampler's
quantity. Times are on the model's clock, from 0 to 1000.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from vitok_core.config import GeneratorConfig
from vitok_core.diffusion.check import STEPS
from vitok_core.diffusion.schedule import ALPHA_BARS, BETAS, at, shifted
from vitok_core.models.dit import CLOCK

# E up to which a flow's times are not shifted: that of p16 c16 at 256p, and of published shifts.
BASE_SIZE = 4096


class Objective(ABC):
    """How codes x (b, l, c) are noised, and the loss of a model's output."""

    @abstractmethod
    def times(self, draws: Tensor) -> Tensor:
        """Training times (b,) from draws (b,) uniform in [0, 1)."""

    @abstractmethod
    def mix(self, x: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The noised codes at these times (b,)."""

    @abstractmethod
    def losses(self, output: Tensor, x: Tensor, noise: Tensor, times: Tensor) -> dict[str, Tensor]:
        """`loss`, and its parts where it has several, as means over the batch."""


class Diffusion(Objective):
    """The linear schedule's variance-preserving mixture √ᾱ·x + √(1-ᾱ)·noise."""

    def times(self, draws: Tensor) -> Tensor:
        """Whole steps 0..999, all equally likely."""
        return (draws * STEPS).floor()

    def mix(self, x: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The noised codes."""
        signal, spread = _mixture(times)
        return signal * x + spread * noise

    @abstractmethod
    def noise_of(self, output: Tensor, noised: Tensor, times: Tensor) -> Tensor:
        """The noise (b, l, c) that an output means: DDIM's quantity."""


class NoisePrediction(Diffusion):
    """The paper's: mean squared error of the noise; perhaps with the variance, by `hybrid`.

    Args:
        learned_sigma: the output has c channels more, the variance's place between its bounds.
    """

    def __init__(self, learned_sigma: bool = False) -> None:
        self.learned_sigma = learned_sigma

    def losses(self, output: Tensor, x: Tensor, noise: Tensor, times: Tensor) -> dict[str, Tensor]:
        """The mean squared error, plus the variational bound's share with a learned variance."""
        if not self.learned_sigma:
            return {"loss": _squared_error(output, noise)}
        predicted, place = output.chunk(2, dim=-1)
        error = _squared_error(predicted, noise)
        bound = variational_bound(predicted.detach(), place, x, noise, times).mean()
        return {"loss": error + bound, "loss_noise": error, "loss_bound": bound}

    def noise_of(self, output: Tensor, noised: Tensor, times: Tensor) -> Tensor:
        """The output itself; DDIM has no use for a learned variance."""
        return output.chunk(2, dim=-1)[0] if self.learned_sigma else output


class VPrediction(Diffusion):
    """v = √ᾱ·noise - √(1-ᾱ)·x (Salimans & Ho 2022)."""

    def losses(self, output: Tensor, x: Tensor, noise: Tensor, times: Tensor) -> dict[str, Tensor]:
        """The mean squared error of v."""
        signal, spread = _mixture(times)
        return {"loss": _squared_error(output, signal * noise - spread * x)}

    def noise_of(self, output: Tensor, noised: Tensor, times: Tensor) -> Tensor:
        """√ᾱ·v + √(1-ᾱ)·noised."""
        signal, spread = _mixture(times)
        return signal * output + spread * noised


class Flow(Objective):
    """The straight path (1-t)·x + t·noise, and its velocity noise - x (Lipman et al. 2023).

    Args:
        size: E of a code; training and sampling times are shifted for it.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def shift(self, t: Tensor) -> Tensor:
        """Times in [0, 1], shifted for this code's size."""
        return shifted(t, self.size, BASE_SIZE)

    def times(self, draws: Tensor) -> Tensor:
        """Uniform draws, shifted."""
        return CLOCK * self.shift(draws)

    def mix(self, x: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The noised codes."""
        t = times[:, None, None] / CLOCK
        return (1 - t) * x + t * noise

    def losses(self, output: Tensor, x: Tensor, noise: Tensor, times: Tensor) -> dict[str, Tensor]:
        """The mean squared error of the velocity."""
        return {"loss": _squared_error(output, noise - x)}


def objective_of(config: GeneratorConfig, code_shape: tuple[int, int]) -> Objective:
    """The objective of a configuration, for codes of l tokens of c channels."""
    if config.objective == "flow":
        return Flow(math.prod(code_shape))
    return VPrediction() if config.objective == "v" else NoisePrediction(config.learned_sigma)


def variational_bound(
    predicted: Tensor, place: Tensor, x: Tensor, noise: Tensor, times: Tensor
) -> Tensor:
    """Nichol & Dhariwal's L_t per sample (b,), in bits per value: what the variance learns from.

    Times 1000 it estimates L_vlb, and L_hybrid weighs that by 0.001: it is added as it is. The
    step at time 0 is scored by its density at the code, for codes are not discrete.

    Args:
        predicted: noise (b, l, c), without gradient: the mean learns from the squared error alone.
        place: of the log-variance, from -1 (the posterior's, β̃) to 1 (β).
    """
    least, most = at(LOG_POSTERIOR_VARIANCES, times), at(BETAS.log(), times)
    log_variance = least + 0.5 * (place + 1) * (most - least)
    # Both means are those of the posterior of the step, one of the code, one of what is predicted;
    # they differ by the error of the noise alone.
    gap = at(NOISE_WEIGHTS, times) * (predicted - noise)
    squared = gap.square() / log_variance.exp()
    divergence = 0.5 * (log_variance - least - 1 + (least - log_variance).exp() + squared)
    density = 0.5 * (log_variance + math.log(2 * math.pi) + squared)
    nats = torch.where(times[:, None, None] == 0, density, divergence)
    return nats.mean((1, 2)) / math.log(2)


def _posterior() -> tuple[Tensor, Tensor]:
    """log β̃ at each time, its first taken from the second, and by how much the posterior's mean
    moves when the noise does."""
    before = torch.cat((torch.ones(1, dtype=torch.float64), ALPHA_BARS[:-1]))
    variances = BETAS * (1 - before) / (1 - ALPHA_BARS)
    variances[0] = variances[1]
    # μ = (x_t - β/√(1-ᾱ)·noise) / √(1-β)
    weights = BETAS / ((1 - ALPHA_BARS).sqrt() * (1 - BETAS).sqrt())
    return variances.log(), weights


LOG_POSTERIOR_VARIANCES, NOISE_WEIGHTS = _posterior()


def _mixture(times: Tensor) -> tuple[Tensor, Tensor]:
    """√ᾱ and √(1-ᾱ), each (b, 1, 1)."""
    return at(ALPHA_BARS.sqrt(), times), at((1 - ALPHA_BARS).sqrt(), times)


def _squared_error(output: Tensor, target: Tensor) -> Tensor:
    return (output.float() - target).square().mean()
