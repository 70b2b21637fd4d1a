"""One block of ViTok: in bf16 autocast against fp32, and compiled against eager."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vitok_core.health.outcome import Outcome
from vitok_core.health.timing import seconds
from vitok_core.models.blocks import Block, compile_blocks
from vitok_core.models.rope import Rotations
from vitok_core.models.tubelets import Grid

_GRID = {"cuda": Grid(1, 16, 16), "cpu": Grid(1, 4, 4)}
_WIDTH = {"cuda": (768, 12), "cpu": (64, 2)}  # S and B of Table 1
_BATCH = {"cuda": 64, "cpu": 2}
_HALF = 3e-2  # relative error of bf16, which has eight bits: output and gradients
_FUSED = 2e-2  # of the compiled block, which rounds to bf16 less often

Step = Callable[[nn.Module, bool], tuple[Tensor, Tensor]]


def half_precision(kind: str) -> Outcome:
    """Right when output and gradient in bf16 autocast are finite and near those of fp32."""
    block, step = _block(kind)
    error = _relative(step(block, True), step(block, False))
    right = error <= _HALF  # a NaN is no such number
    said = f"bf16 autocast within {error:.1e} of fp32"
    return Outcome(
        right, said if right else f"{said}: more than {_HALF:g}", values={"error": error}
    )


def compiled(kind: str) -> Outcome:
    """Right when torch.compile leaves the block's results as they are; says what it gains."""
    device = torch.device(kind)
    block, step = _block(kind)
    fused = nn.ModuleList([copy.deepcopy(block)])
    compile_blocks(fused)
    error = _relative(step(fused[0], True), step(block, True))
    times = {
        "eager": seconds(lambda: step(block, True), device),
        "compiled": seconds(lambda: step(fused[0], True), device),
    }
    right = error <= _FUSED
    gain = times["eager"] / times["compiled"]
    said = f"compiled within {error:.1e} of eager, {gain:.2f} times as fast"
    values = {"error": error, "seconds": times}
    return Outcome(right, said if right else f"{said}: more than {_FUSED:g}", values=values)


def _block(kind: str) -> tuple[Block, Step]:
    """A block with fixed weights, and one training step on it: (output, gradient of its input)."""
    device, grid, (width, heads) = torch.device(kind), _GRID[kind], _WIDTH[kind]
    torch.manual_seed(0)
    block = Block(width, heads).to(device)
    rotation = Rotations(width // heads).at(grid, device)
    x = torch.randn(_BATCH[kind], grid.tokens, width).to(device)

    def step(module: nn.Module, half: bool) -> tuple[Tensor, Tensor]:
        tokens = x.clone().requires_grad_()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            out = module(tokens, rotation)
        out.float().square().mean().backward()
        assert tokens.grad is not None
        return out.detach().float(), tokens.grad

    return block, step


def _relative(found: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> float:
    """The largest relative distance of the pairs."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))
