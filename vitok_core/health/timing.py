"""Seconds of something that a device does while Python goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch


def seconds(work: Callable[[], object], device: torch.device, times: int = 10) -> float:
    """The median of several runs, after three to warm up."""
    taken = []
    for _ in range(3 + times):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        taken.append(time.perf_counter() - began)
    return median(taken[3:])


def devices_of(kind: str) -> list[torch.device]:
    """Every GPU, or the CPU."""
    if kind == "cpu":
        return [torch.device("cpu")]
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
