"""A small torchscript in the standard video network's place."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitok_core.metrics import fvd, networks


class Logits(torch.nn.Module):
    """Of the standard one's signature: 400 numbers of a clip."""

    def __init__(self) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(24, 400, generator=draws))

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        assert rescale
        assert resize
        assert return_features
        assert x.shape[2] == 16
        halves = x.unflatten(2, [2, 8]).unflatten(4, [2, -1]).unflatten(6, [2, -1])
        pooled = 2 * halves.mean(dim=(3, 5, 7)) / 255 - 1
        return (pooled.flatten(1) @ self.weight).tanh()


def pin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Write it as `i3d`, under its own hash; returns the site file's `weights`."""
    path = folder / "i3d_torchscript.pt"
    torch.jit.save(torch.jit.script(Logits()), str(path))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    table = {**networks.NETWORKS, "i3d": replace(networks.NETWORKS["i3d"], sha256=sha256)}
    for module in (networks, fvd):
        monkeypatch.setattr(module, "NETWORKS", table)
    return {"i3d": str(path)}
