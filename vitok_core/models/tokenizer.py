"""ViTok: a ViT auto-encoder with a Gaussian bottleneck of c channels per token (§2.1)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from vitok_core.config import TokenizerConfig
from vitok_core.models.blocks import Transformer
from vitok_core.models.masking import CodeMask, Kept
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid, from_tubelets, grid_of, to_tubelets


class ViTok(nn.Module):
    """The simple variant: tubelets → encoder → 2c → z → decoder → tubelets.

    With `config.lengths` it is Mask Simple: a code's tail may be masked before it is decoded.

    Args:
        config: sizes of both towers, patch p, stride q and channels c.
        frames: T of the clips it is made for; images have one.
        resolution: their height and width in pixels. Other sizes that p divides work too, and other
            numbers of frames that q divides: positions are rotary, nothing in the weights depends
            on the size.
    """

    def __init__(self, config: TokenizerConfig, frames: int, resolution: int) -> None:
        super().__init__()
        self.config = config
        self.grid = grid_of(frames, resolution, resolution, config.stride, config.patch)
        values = 3 * config.stride * config.patch**2
        encoder, decoder = config.encoder, config.decoder
        self.embed = nn.Linear(values, encoder.width)
        self.encoder = Transformer(encoder, config)
        self.moments = nn.Linear(encoder.width, 2 * config.channels)
        self.from_code = nn.Linear(config.channels, decoder.width)
        self.decoder = Transformer(decoder, config)
        self.unembed = nn.Linear(decoder.width, values)
        self.masking = CodeMask(config.channels) if config.lengths else None

    def code_tokens(self, grid: Grid) -> int:
        """How many tokens the code of a clip with that grid of tubelets has."""
        return grid.tokens

    @property
    def code_shape(self) -> tuple[int, int]:
        """(l, c) of one clip's code at the size that the model was made for."""
        return self.code_tokens(self.grid), self.config.channels

    def encode(self, x: Tensor) -> Posterior:
        """Posterior of the code of clips (b, 3, t, h, w) in [-1, 1]."""
        stride, patch = self.config.stride, self.config.patch
        grid = grid_of(x.shape[2], x.shape[3], x.shape[4], stride, patch)
        tubelets = self.embed(to_tubelets(x, stride, patch))  # (b, L, d_encoder)
        moments = self.moments(self._encode_tokens(tubelets, grid))  # (b, l, 2c)
        return Posterior.from_moments(moments, grid)

    def decode(self, z: Tensor, grid: Grid | None = None, kept: Kept | None = None) -> Tensor:
        """Clips (b, 3, t, h, w) from codes (b, l, c).

        Args:
            z: the codes, always at full length.
            grid: where the tubelets stand (`Posterior.grid`); None: the size it was made for.
            kept: of a masked variant, how many of a code's first tokens count; None: all.
        """
        grid = self.grid if grid is None else grid
        if kept is not None:
            z = self._mask(z, kept)
        tubelets = self._decode_tokens(self.from_code(z), grid)  # (b, L, d_decoder)
        values = self.unembed(tubelets)  # (b, L, 3·q·p·p)
        return from_tubelets(values, grid, self.config.stride, self.config.patch)

    def forward(
        self, x: Tensor, noise: Tensor | None = None, kept: Kept | None = None
    ) -> tuple[Tensor, Posterior]:
        """Reconstruct `x`: from a sample of the posterior with `noise`, else from its mean.

        `kept` is as in `decode`; the posterior that is returned knows it.
        """
        posterior = self.encode(x).keep(kept)
        z = posterior.mean if noise is None else posterior.sample(noise)
        return self.decode(z, posterior.grid, kept), posterior

    def reconstruct(self, x: Tensor, kept: Kept | None = None) -> Tensor:
        """Decode the posterior's mean: what evaluation scores."""
        return cast(Tensor, self(x, kept=kept)[0])

    def checkpoint_activations(self, on: bool) -> None:
        """Compute each block anew in the backward pass, for memory; gradients do not change."""
        self.encoder.checkpoint_activations = self.decoder.checkpoint_activations = on

    def freeze_encoder(self) -> None:
        """Train what stands behind the code alone (§2.3): the encoder's side gets no gradients.

        No module behaves otherwise in training, so this is all that evaluation mode would do.
        """
        for module in (self.embed, self.encoder, self.moments):
            module.eval().requires_grad_(False)

    def zero_branches(self) -> None:
        """Silence every residual branch of both towers: what is left is a linear code."""
        self.encoder.zero_branches()
        self.decoder.zero_branches()

    def _encode_tokens(self, tubelets: Tensor, grid: Grid) -> Tensor:
        """The encoder's tokens that carry the code, (b, l, d_encoder)."""
        return cast(Tensor, self.encoder(tubelets, grid))

    def _decode_tokens(self, code: Tensor, grid: Grid) -> Tensor:
        """The decoder's tokens that carry the tubelets, (b, L, d_decoder)."""
        return cast(Tensor, self.decoder(code, grid))

    def _mask(self, z: Tensor, kept: Kept) -> Tensor:
        if self.masking is None:
            raise ValueError(f"variant {self.config.variant} decodes its whole code: kept is None")
        return cast(Tensor, self.masking(z, kept))
