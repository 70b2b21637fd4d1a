"""The latent code's distribution: a diagonal Gaussian per token (§2.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from vitok_core.models.masking import Kept, keep_mask
from vitok_core.models.tubelets import Grid

LOGVAR_RANGE = (-30.0, 20.0)  # as in the authors' released code


@dataclass(frozen=True)
class Posterior:
    """q(z|x) = N(mean, exp(logvar)), (b, l, c) each.

    Attributes:
        grid: the tubelets' grid, on which the decoder puts the pixels back. In the latent variants
            the code's l tokens are not those of the grid.
        kept: how many tokens the decoder is given; None: all. A masked position tells the decoder
            nothing, so it has no rate and counts in none of the KLs below.
    """

    mean: Tensor
    logvar: Tensor
    grid: Grid
    kept: Kept | None = None

    @classmethod
    def from_moments(cls, moments: Tensor, grid: Grid) -> Posterior:
        """Split the encoder's (b, l, 2c) into mean and clamped log-variance, in float32."""
        mean, logvar = moments.float().chunk(2, dim=-1)
        return cls(mean, logvar.clamp(*LOGVAR_RANGE), grid)

    def keep(self, kept: Kept | None) -> Posterior:
        """The same with that many tokens kept."""
        return replace(self, kept=kept)

    def sample(self, noise: Tensor) -> Tensor:
        """z = mean + std·noise; the caller owns the standard normal `noise` (b, l, c)."""
        return self.mean + (0.5 * self.logvar).exp() * noise

    def kl(self) -> Tensor:
        """KL(q(z|x) ‖ N(0, 1)) of every code element, in nats: (b, l, c), 0 where it is masked."""
        elements = 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar)
        return elements if self.kept is None else elements.masked_fill(~self.mask[..., None], 0.0)

    def kl_mean(self) -> Tensor:
        """The KL of each clip averaged over its kept code elements, in nats: (b,).

        By clip, so that a batch's mean does not depend on how it is cut into micro-batches.
        """
        return self.kl().sum((1, 2)) / (self.mask.sum(1) * self.mean.shape[2])

    @property
    def mask(self) -> Tensor:
        """True at the tokens that are kept, (b, l)."""
        clips, tokens, _ = self.mean.shape
        kept = tokens if self.kept is None else self.kept
        return keep_mask(kept, tokens, self.mean.device).expand(clips, tokens)
