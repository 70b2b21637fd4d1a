"""Llama-style transformer blocks (§2.1): pre-norm, SwiGLU, rotary full self-attention.

As in the authors' released code the norm is LayerNorm, the query-key-value map has no bias and the
other linear maps have one.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitok_core.models.rope import Rotations, rotate
from vitok_core.models.tubelets import Grid
from vitok_core.variants import Tower


def swiglu_width(width: int) -> int:
    """Hidden width of the feed-forward: 8d/3, up to a multiple of 8 (768 → 2048, 1152 → 3072)."""
    return 8 * -(-width // 3)


class Attention(nn.Module):
    """Full multi-head self-attention with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Mix the tokens (b, l, d)."""
        heads = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (b, l, 3, h, d/h)
        q, k, v = heads.unbind(2)
        q, k = rotate(q, rotation), rotate(k, rotation)
        mixed = F.scaled_dot_product_attention(
            q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        )
        return cast(Tensor, self.out(mixed.transpose(1, 2).flatten(2)))


class SwiGLU(nn.Module):
    """Gated feed-forward: (SiLU(x·W_gate) ⊙ x·W_up)·W_out, the first two as one product."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = swiglu_width(width)
        self.gate_up = nn.Linear(width, 2 * hidden)
        self.out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map the tokens (b, l, d) one by one."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return cast(Tensor, self.out(F.silu(gate) * up))


class Block(nn.Module):
    """One pre-norm block; both branches add to the residual stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = SwiGLU(width)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Residual stream (b, l, d) in, residual stream out."""
        x = x + self.attention(self.norm_attention(x), rotation)
        return x + cast(Tensor, self.mlp(self.norm_mlp(x)))

    def zero_branches(self) -> None:
        """Make the block the identity, by zero output projections of its two branches."""
        for linear in (self.attention.out, self.mlp.out):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)


class Transformer(nn.Module):
    """A tower of blocks, encoder or decoder (Table 1)."""

    def __init__(self, tower: Tower, final_norm: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(tower.width, tower.heads) for _ in range(tower.blocks))
        self.norm = nn.LayerNorm(tower.width) if final_norm else nn.Identity()
        self._rotations = Rotations(tower.width // tower.heads)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Tokens (b, l, d) at the places of `grid`."""
        rotation = self._rotations.at(grid, x.device)
        for block in self.blocks:
            x = block(x, rotation)
        return cast(Tensor, self.norm(x))

    def zero_branches(self) -> None:
        """Make every block the identity."""
        with torch.no_grad():
            for block in self.blocks:
                cast(Block, block).zero_branches()
