"""What every tokenizer is to the rest of the house: ViTok, or a class of the user's own."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from vitok_core.config import TokenizerConfig
from vitok_core.errors import UserError
from vitok_core.models.masking import Kept
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid, grid_of

_T = TypeVar("_T")


class AutoEncoder(nn.Module):
    """An auto-encoder with a Gaussian code of L = T/q · H/p · W/p tokens of c channels (§2.1).

    A class of one's own derives from it, takes the same three arguments, makes its modules, and
    gives `encode` and `decode`. Its weights start as its modules make them.

    Args:
        config: patch p, stride q, channels c, and the sizes of both towers, to be read as fits.
        frames: T of the clips it is made for; images have one.
        resolution: their height and width in pixels.
    """

    def __init__(self, config: TokenizerConfig, frames: int, resolution: int) -> None:
        super().__init__()
        self.config = config
        self.grid = grid_of(frames, resolution, resolution, config.stride, config.patch)

    def encode(self, x: Tensor) -> Posterior:
        """Posterior of the code of clips (b, 3, t, h, w) in [-1, 1]."""
        raise NotImplementedError

    def decode(self, z: Tensor, grid: Grid | None = None) -> Tensor:
        """Clips (b, 3, t, h, w) from codes (b, l, c); `grid` is the posterior's."""
        raise NotImplementedError

    def grid_of(self, x: Tensor) -> Grid:
        """The grid of tubelets of clips (b, 3, t, h, w)."""
        _, _, frames, height, width = x.shape
        return grid_of(frames, height, width, self.config.stride, self.config.patch)

    def code_tokens(self, grid: Grid) -> int:
        """How many tokens the code of a clip with that grid of tubelets has."""
        return grid.tokens

    @property
    def code_shape(self) -> tuple[int, int]:
        """(l, c) of one clip's code at the size that the model was made for."""
        return self.code_tokens(self.grid), self.config.channels

    def kept_length(self, length: int | None, grid: Grid) -> int | None:
        """`length`, once it is sure that this tokenizer decodes that many tokens on `grid`.

        Raises:
            UserError: its variant decodes whole codes alone, or they are not as long.
        """
        if length is None:
            return None
        if not self.config.lengths:
            raise UserError(
                f"length: {length}: a tokenizer of variant {self.config.variant} decodes its whole "
                "code; leave length out, or train a variant mask_simple or mask_latent"
            )
        tokens = self.code_tokens(grid)
        if not 1 <= length <= tokens:
            raise UserError(f"length: {length}: the code has {tokens} tokens; give 1 to {tokens}")
        return length

    def rebuild(self, z: Tensor, grid: Grid, kept: Kept | None = None) -> Tensor:
        """As `decode`, with `kept` of a masked variant: how many of a code's first tokens count."""
        if kept is not None:
            raise ValueError(f"{type(self).__name__} decodes its whole code: kept is None")
        return self.decode(z, grid)

    def forward(
        self, x: Tensor, noise: Tensor | None = None, kept: Kept | None = None
    ) -> tuple[Tensor, Posterior]:
        """Reconstruct `x`: from a sample of the posterior with `noise`, else from its mean.

        `kept`: of a masked variant, how many of a code's first tokens count; None: all. The
        posterior that is returned knows it.
        """
        posterior = self.encode(x).keep(kept)
        z = posterior.mean if noise is None else posterior.sample(noise)
        return self.rebuild(z, posterior.grid, kept), posterior

    def reconstruct(self, x: Tensor, kept: Kept | None = None) -> Tensor:
        """Decode the posterior's mean: what evaluation scores."""
        return cast(Tensor, self(x, kept=kept)[0])

    def checkpoint_activations(self, on: bool) -> None:
        """Compute parts anew in the backward pass, for memory. Here: none; it changes no result."""

    def freeze_encoder(self) -> None:
        """Train what stands behind the code alone (§2.3): what `decode` does not use is frozen."""
        with torch.enable_grad():
            z = torch.zeros(1, *self.code_shape, device=next(self.parameters()).device)
            parameters = [each for each in self.parameters() if each.requires_grad]
            total = self.decode(z, self.grid).sum()
            reached = torch.autograd.grad(total, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, reached, strict=True):
            parameter.requires_grad_(gradient is not None)


@torch.no_grad()
def check_shapes(model: AutoEncoder) -> None:
    """Try a class of the user's own on one blank clip; UserError where what it gives is not as it
    must.

    In evaluation mode, so that running statistics stay as they were.
    """
    config, grid = model.config, model.grid
    size = (grid.t * config.stride, grid.h * config.patch, grid.w * config.patch)
    clip = torch.zeros(1, 3, *size)
    was_training = model.training
    model.eval()
    posterior = _expect_kind(config, "encode", model.encode(clip), Posterior)
    _expect(config, "encode gives a code (1, l, c)", posterior.mean, (1, *model.code_shape))
    output = _expect_kind(config, "decode", model.decode(posterior.mean, posterior.grid), Tensor)
    _expect(config, "decode gives a clip (1, 3, t, h, w)", output, tuple(clip.shape))
    model.train(was_training)


def _expect_kind(config: TokenizerConfig, method: str, found: Any, kind: type[_T]) -> _T:
    if not isinstance(found, kind):
        raise UserError(
            f"{config.class_}: {method} gives {type(found).__name__}, expected {kind.__module__}."
            f"{kind.__name__}"
        )
    return found


def _expect(config: TokenizerConfig, what: str, found: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(found.shape) != shape:
        raise UserError(f"{config.class_}: {what} of {tuple(found.shape)}, expected {shape}")
