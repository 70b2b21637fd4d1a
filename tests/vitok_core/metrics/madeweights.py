"""Weights of the right shape for networks whose own are not to be had here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vitok_core.metrics import networks


def drawn(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Normal values by name, the same under every version of torch."""
    random = np.random.RandomState(seed)
    scale = {name: 0.1 if len(shape) > 1 else 0.5 for name, shape in shapes.items()}
    return {
        name: torch.from_numpy(
            random.standard_normal(shapes[name]).astype(np.float32) * scale[name]
        )
        for name in sorted(shapes)
    }


def inception(network: nn.Module, path: Path, seed: int = 0) -> None:
    """Write weights for an Inception under which signals neither fade nor explode."""
    generator = torch.Generator().manual_seed(seed)
    weights = network.state_dict()
    for name, value in weights.items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.ndim > 1:
            value.normal_(0.0, (2.0 / value[0].numel()) ** 0.5, generator=generator)
        elif value.is_floating_point():
            value.normal_(1.0 if "bn.weight" in name else 0.0, 0.1, generator=generator)
    torch.save(weights, path)


def pin(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make the file the pinned one of a network; returns the site file's `weights`."""
    made = replace(networks.NETWORKS[name], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(networks, "NETWORKS", {**networks.NETWORKS, name: made})
    return {name: str(path)}
