"""What one optimizer step asks of the device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from recording import RecordingContext
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vitok_core.context import Machine
from vitok_core.data.pixels import to_model
from vitok_core.data.samples import Batch
from vitok_core.training.distributed import World
from vitok_core.training.setup import Run
from vitok_core.training.step import batch_gradients


class Reads(TorchDispatchMode):
    """Counts the scalars that Python asks for one by one: each waits for a GPU."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("micro_batch", [1, 2, None])
def test_terms_are_read_once_a_step(tmp_path: Path, micro_batch: int | None) -> None:
    """And are the sums that Python's own floats would give, bit by bit."""
    device = torch.device("cpu")
    context = RecordingContext(tmp_path, machine=Machine(micro_batch=micro_batch))
    run = cast(Run, SimpleNamespace(context=context, device=device, world=World(device)))
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    batch = Batch(images, torch.zeros(5), torch.arange(5))
    expected = {"loss": 0.0, "odd": 0.0}

    def backward(part: Batch, share: float) -> Mapping[str, Tensor]:
        x = to_model(part.samples)
        terms = {"loss": x.mean(), "odd": x.square().mean() / 3}
        shares.append((share, terms))
        return terms

    shares: list[tuple[float, Mapping[str, Tensor]]] = []
    with Reads() as reads:
        found = batch_gradients(run, batch, backward, [])
    assert reads.count == 0
    for share, terms in shares:
        for name, value in terms.items():
            expected[name] += share * float(value)
    assert found == expected
