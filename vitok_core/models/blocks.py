"""Llama-style transformer blocks (§2.1): pre-norm, gated feed-forward, rotary full self-attention.

As in the authors' released code the norm is LayerNorm, the query-key-value map has no bias and the
other linear maps have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vitok_core.config import TokenizerConfig
from vitok_core.models.rope import Rotations, rotate
from vitok_core.models.tubelets import Grid
from vitok_core.variants import Tower, gated_width

Gate = Literal["silu", "gelu"]
_GATES: dict[Gate, Callable[[Tensor], Tensor]] = {"silu": F.silu, "gelu": F.gelu}


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


class GatedMLP(nn.Module):
    """Gated feed-forward: (gate(x·W_gate) ⊙ x·W_up)·W_out, the first two as one product.

    With SiLU it is SwiGLU (the paper's), with the exact GELU it is GEGLU (the released code's).
    """

    def __init__(self, width: int, gate: Gate) -> None:
        super().__init__()
        hidden = gated_width(width)
        self._gate = _GATES[gate]
        self.gate_up = nn.Linear(width, 2 * hidden)
        self.out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map the tokens (b, l, d) one by one."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return cast(Tensor, self.out(self._gate(gate) * up))


class CompiledAlone(nn.Module):
    """What `compile_blocks` compiles by itself."""


class Block(CompiledAlone):
    """One pre-norm block; both branches add to the residual stream."""

    def __init__(self, width: int, heads: int, gate: Gate = "silu") -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = GatedMLP(width, gate)

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
    """A tower of blocks, encoder or decoder (Table 1), over the tubelets' and any latent tokens."""

    def __init__(self, tower: Tower, config: TokenizerConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(tower.width, tower.heads, config.gate) for _ in range(tower.blocks)
        )
        self.norm = nn.LayerNorm(tower.width) if config.final_norm else nn.Identity()
        self.checkpoint_activations = False  # keep only the blocks' inputs for the backward pass
        self._rotations = Rotations(tower.width // tower.heads, config.rope, config.latents or 0)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        """Tokens (b, l, d): those at the places of `grid`, then the latent ones, spread over it."""
        rotation = self._rotations.at(grid, x.device)
        for block in self.blocks:
            x = self._apply_block(block, x, rotation)
        return cast(Tensor, self.norm(x))

    def _apply_block(self, block: nn.Module, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        if self.checkpoint_activations and torch.is_grad_enabled():
            # Nothing in a block is random, so there is no generator to put back.
            out = checkpoint(block, x, rotation, use_reentrant=False, preserve_rng_state=False)
        else:
            out = block(x, rotation)
        return cast(Tensor, out)

    def zero_branches(self) -> None:
        """Make every block the identity."""
        with torch.no_grad():
            for block in self.blocks:
                cast(Block, block).zero_branches()


def compile_blocks(model: nn.Module, backend: Any = "inductor") -> int:
    """`torch.compile` every block of `model` in place, one by one; returns how many there are.

    Blocks of equal shape share one graph, so compiling takes as long for 24 blocks as for one, and
    grids, masks and losses stay outside of it. Names in the `state_dict` do not change.
    """
    blocks = [module for module in model.modules() if isinstance(module, CompiledAlone)]
    for block in blocks:
        block.compile(backend=backend)
    return len(blocks)
