"""The class-conditional diffusion transformer (DiT, Peebles & Xie 2023) on a code's tokens (§2.2).

Tokens of width c go straight in: there is no patchify. Blocks are adaLN-zero with the tokenizer's
Llama upgrades: SwiGLU, and rotary positions over the code's grid, which are the only positions. A
code of latent tokens has no grid; its tokens stand in a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vitok_core.config import GeneratorConfig
from vitok_core.cost import TIME_FREQUENCIES
from vitok_core.models.blocks import Attention, CompiledAlone, GatedMLP
from vitok_core.models.rope import Rotations
from vitok_core.models.tubelets import Grid

CLOCK = 1000.0  # the time of pure noise, as the model is told it
_PERIOD = 1e4  # the longest of the time embedding, over 2π
_SMALL = 0.02  # standard deviation that the embeddings of time and class start with


class Dit(nn.Module):
    """Predicts noise, v or velocity from a noised code, its time and its class.

    Its buffers `mean` and `std` (c,) belong to the code: what the model sees and predicts is
    normalised by them, so its weights are of use without the latents that it learned from.

    Args:
        config: its size, and whether it predicts the variance too.
        channels: c.
        grid: of the code's tokens: (t, h, w), or (l,) where they are latent tokens.
        classes: how many; the label `classes` means none of them.
    """

    def __init__(
        self, config: GeneratorConfig, channels: int, grid: Sequence[int], classes: int
    ) -> None:
        super().__init__()
        tower = config.model
        width, outputs = tower.width, channels * (1 + config.learned_sigma)
        self.config, self.channels, self.classes = config, channels, classes
        self.grid = Grid(1, 1, *grid) if len(grid) == 1 else Grid(*grid)
        self.embed = nn.Linear(channels, width)
        self.time = TimeEmbedding(width)
        self.label = nn.Embedding(classes + 1, width)
        self.blocks = nn.ModuleList(DitBlock(width, tower.heads) for _ in range(tower.blocks))
        self.final_modulation = nn.Linear(width, 2 * width)
        self.final = nn.Linear(width, outputs)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self._rotations = Rotations(tower.width // tower.heads, "1d" if len(grid) == 1 else "3d")
        self._checkpoint_activations = False

    @property
    def code_shape(self) -> tuple[int, int]:
        """(l, c) of one sample."""
        return self.grid.tokens, self.channels

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """What `config.objective` says, (b, l, c), or with the variance beside it, (b, l, 2c).

        Args:
            x: noised codes, normalised (b, l, c).
            t: times (b,) on the clock from 0 (no noise) to 1000.
            labels: classes (b,).
        """
        rotation = self._rotations.at(self.grid, x.device)
        condition = F.silu(self.time(t) + self.label(labels))  # (b, d)
        tokens = self.embed(x)  # (b, l, d)
        for block in self.blocks:
            tokens = self._apply_block(block, tokens, condition, rotation)
        shift, scale = self.final_modulation(condition)[:, None].chunk(2, dim=-1)
        return cast(Tensor, self.final(_modulated(tokens, shift, scale)))

    def normalise(self, z: Tensor) -> Tensor:
        """A tokenizer's codes (b, l, c) as this model sees them."""
        return (z - self.mean) / self.std

    def denormalise(self, x: Tensor) -> Tensor:
        """Codes (b, l, c) as the tokenizer decodes them."""
        return x * self.std + self.mean

    def checkpoint_activations(self, on: bool) -> None:
        """Compute each block anew in the backward pass, for memory; gradients do not change."""
        self._checkpoint_activations = on

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """As DiT does: Xavier-uniform maps, small embeddings, and zero where adaLN-zero says so.

        Every block starts as the identity, and the prediction as zero.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for weight in (self.time.first.weight, self.time.second.weight, self.label.weight):
            nn.init.normal_(weight, std=_SMALL, generator=generator)
        modulations = [cast(DitBlock, block).modulation for block in self.blocks]
        for linear in (*modulations, self.final_modulation, self.final):
            nn.init.zeros_(linear.weight)

    def _apply_block(
        self, block: nn.Module, x: Tensor, condition: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> Tensor:
        if self._checkpoint_activations and torch.is_grad_enabled():
            # Nothing in a block is random, so there is no generator to put back.
            out = checkpoint(
                block, x, condition, rotation, use_reentrant=False, preserve_rng_state=False
            )
        else:
            out = block(x, condition, rotation)
        return cast(Tensor, out)


class DitBlock(CompiledAlone):
    """One adaLN-zero block: the condition shifts, scales and gates both branches."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.mlp = GatedMLP(width, "silu")
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x: Tensor, condition: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Residual stream (b, l, d) in, residual stream out, under a condition (b, d)."""
        modulation = self.modulation(condition)[:, None].chunk(6, dim=-1)  # 6 × (b, 1, d)
        shift, scale, gate = modulation[:3]
        x = x + gate * self.attention(_modulated(x, shift, scale), rotation)
        shift, scale, gate = modulation[3:]
        return x + cast(Tensor, gate * self.mlp(_modulated(x, shift, scale)))


class TimeEmbedding(nn.Module):
    """Times (b,) as (b, d): cosines and sines of many frequencies, then two linear maps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(TIME_FREQUENCIES, width)
        self.second = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        """Embed the times."""
        half = TIME_FREQUENCIES // 2
        falls = torch.arange(half, dtype=torch.float32, device=t.device) / half
        turn = t[:, None].float() * torch.exp(-math.log(_PERIOD) * falls)  # (b, half)
        waves = torch.cat((turn.cos(), turn.sin()), dim=-1)
        return cast(Tensor, self.second(F.silu(self.first(waves))))


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without weights of its own, then the condition's scale and shift."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift
