"""ViTok: a ViT auto-encoder with a Gaussian bottleneck of c channels per tubelet (§2.1)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from vitok_core.config import TokenizerConfig
from vitok_core.models.blocks import Transformer
from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid, from_tubelets, grid_of, to_tubelets


class ViTok(nn.Module):
    """The simple variant: tubelets → encoder → 2c → z → decoder → tubelets.

    Args:
        config: sizes of both towers, patch p, stride q and channels c.
        frames: T of the clips it is made for; images have one.
        resolution: their height and width in pixels. Other sizes that p divides work too: positions
            are rotary, nothing in the weights depends on the size.
    """

    def __init__(self, config: TokenizerConfig, frames: int, resolution: int) -> None:
        super().__init__()
        self.config = config
        self.grid = grid_of(frames, resolution, resolution, config.stride, config.patch)
        values = 3 * config.stride * config.patch**2
        encoder, decoder = config.encoder, config.decoder
        self.embed = nn.Linear(values, encoder.width)
        self.encoder = Transformer(encoder, config.final_norm)
        self.moments = nn.Linear(encoder.width, 2 * config.channels)
        self.from_code = nn.Linear(config.channels, decoder.width)
        self.decoder = Transformer(decoder, config.final_norm)
        self.unembed = nn.Linear(decoder.width, values)

    def encode(self, x: Tensor) -> Posterior:
        """Posterior of the code of clips (b, 3, t, h, w) in [-1, 1]."""
        stride, patch = self.config.stride, self.config.patch
        grid = grid_of(x.shape[2], x.shape[3], x.shape[4], stride, patch)
        tokens = self.embed(to_tubelets(x, stride, patch))  # (b, l, d_encoder)
        moments = self.moments(self.encoder(tokens, grid))  # (b, l, 2c)
        return Posterior.from_moments(moments, grid)

    def decode(self, z: Tensor, grid: Grid | None = None) -> Tensor:
        """Clips (b, 3, t, h, w) from codes (b, l, c).

        `grid` says where the tokens stand (`Posterior.grid`); None: the size it was made for.
        """
        grid = self.grid if grid is None else grid
        tokens = self.decoder(self.from_code(z), grid)  # (b, l, d_decoder)
        values = self.unembed(tokens)  # (b, l, 3·q·p·p)
        return from_tubelets(values, grid, self.config.stride, self.config.patch)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Posterior]:
        """Reconstruct `x`: from a sample of the posterior with `noise`, else from its mean."""
        posterior = self.encode(x)
        z = posterior.mean if noise is None else posterior.sample(noise)
        return self.decode(z, posterior.grid), posterior

    def reconstruct(self, x: Tensor) -> Tensor:
        """Decode the posterior's mean: what evaluation scores."""
        return cast(Tensor, self(x)[0])

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
