"""Counter-based randomness: every draw is a function of (seed, stream, index) and nothing else.

A run that was killed, resumed, or spread over other ranks draws the very same numbers (contract 8:
never from ranks, nor from how long the process has lived), after the sampler of EDM2.

The bits come from Philox keyed by a BLAKE2b hash. Only numpy's *raw* Philox output is used for
data order and crops: it is specified and stable across numpy versions, while the methods of
`numpy.random.Generator` are free to change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

_TO_UNIT = 2.0**-53


def _key(seed: int, stream: str, index: int) -> int:
    text = f"{int(seed)}/{stream}/{int(index)}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


def bits(seed: int, stream: str, index: int, n: int) -> NDArray[np.uint64]:
    """(n,) raw 64-bit words."""
    return np.random.Philox(key=_key(seed, stream, index)).random_raw(n)


def uniforms(seed: int, stream: str, index: int, n: int) -> NDArray[np.float64]:
    """(n,) floats in [0, 1), on the grid of 2^-53."""
    return (bits(seed, stream, index, n) >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def permutation(seed: int, stream: str, index: int, n: int) -> NDArray[np.int64]:
    """(n,) a permutation of 0..n-1: the order of n random words."""
    return np.argsort(bits(seed, stream, index, n), kind="stable")


def noise(seed: int, stream: str, indices: Iterable[int], shape: Sequence[int]) -> torch.Tensor:
    """(n, *shape) float32 standard normal noise on the CPU, one generator per sample index.

    Row k depends on indices[k] alone, so any grouping into batches or ranks gives the same rows.
    torch's CPU generator keeps 32 bits of a seed: two of 100,000 samples may share their noise.
    """
    indices = list(indices)
    out = torch.empty((len(indices), *shape), dtype=torch.float32)
    generator = torch.Generator()
    for row, index in zip(out, indices, strict=True):
        generator.manual_seed(_key(seed, stream, index) & 0xFFFFFFFF)
        row.normal_(generator=generator)
    return out
