"""Loading data in processes of their own: the same batches as without, and how fast."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import torch

from vitok_core.config import DataConfig
from vitok_core.context import Machine
from vitok_core.data.opening import training_crops
from vitok_core.data.sampler import loader
from vitok_core.health.bench import Bench
from vitok_core.health.outcome import Outcome

_STEPS = {"cuda": 32, "cpu": 4}
_BATCH = {"cuda": 16, "cpu": 2}
_MOST_WORKERS = {"cuda": 16, "cpu": 2}


def loading(kind: str) -> Outcome:
    """Drawn images at 256 px. Right when workers give what this process alone gives."""
    workers = max(1, min(_MOST_WORKERS[kind], len(os.sched_getaffinity(0))))
    if kind == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # so that batches are pinned, as in a training
    alone, slow = _batches(kind, 0, few=2)
    together, fast = _batches(kind, workers)
    right = all(torch.equal(a, b) for a, b in zip(alone, together, strict=False))
    said = f"{workers} workers: {fast:.4g} img/s, one process alone {slow:.4g}"
    values = {"workers": workers, "images_per_second": fast, "alone": slow}
    return Outcome(right, said if right else "workers give other batches", values=values)


def _batches(kind: str, workers: int, few: int | None = None) -> tuple[list[torch.Tensor], float]:
    """The batches and their rate, the start of the workers included."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), Machine(device=kind))
        crops = training_crops(DataConfig(name="synthetic", resolution=256), 0, bench)
        began, steps = time.perf_counter(), few or _STEPS[kind]
        found = [batch.samples for batch in loader(crops, _BATCH[kind], range(steps), workers)]
    return found, steps * _BATCH[kind] / (time.perf_counter() - began)
