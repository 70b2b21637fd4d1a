"""The latent code's distribution: a diagonal Gaussian per token (§2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vitok_core.models.tubelets import Grid

LOGVAR_RANGE = (-30.0, 20.0)  # as in the authors' released code


@dataclass(frozen=True)
class Posterior:
    """q(z|x) = N(mean, exp(logvar)) with the grid that its tokens stand on; (b, l, c) each."""

    mean: Tensor
    logvar: Tensor
    grid: Grid

    @classmethod
    def from_moments(cls, moments: Tensor, grid: Grid) -> Posterior:
        """Split the encoder's (b, l, 2c) into mean and clamped log-variance, in float32."""
        mean, logvar = moments.float().chunk(2, dim=-1)
        return cls(mean, logvar.clamp(*LOGVAR_RANGE), grid)

    def sample(self, noise: Tensor) -> Tensor:
        """z = mean + std·noise; the caller owns the standard normal `noise` (b, l, c)."""
        return self.mean + (0.5 * self.logvar).exp() * noise

    def kl(self) -> Tensor:
        """KL(q(z|x) ‖ N(0, 1)) of every code element, in nats: (b, l, c)."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar)
