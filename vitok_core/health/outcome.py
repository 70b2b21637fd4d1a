"""What a check found. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """One check's word.

    Args:
        right: whether what it computed is what it should be.
        found: in one line.
        flops: FLOP/s that were reached (2 per multiply-accumulate), by precision: of the slowest
            device.
        values: the numbers behind it.
    """

    right: bool
    found: str
    flops: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
