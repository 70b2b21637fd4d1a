"""How much of its code each training sample keeps, in the masked variants (§8.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vitok_core.data.counter import uniforms

STREAM = "kept lengths"


def kept_lengths(
    lengths: Sequence[int], seed: int, indices: Sequence[int], device: torch.device
) -> Tensor | None:
    """One of `lengths` for each sample, all equally likely: (b,) int64; None without lengths.

    A sample's draw depends on (seed, global sample index) alone.
    """
    if not lengths:
        return None
    draws = [uniforms(seed, STREAM, index, 1)[0] for index in indices]
    return torch.tensor([lengths[int(draw * len(lengths))] for draw in draws], device=device)
