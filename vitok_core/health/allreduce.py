"""The sum over all GPUs of this node that every step of a training waits for."""

from __future__ import annotations

import json
import socket
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from vitok_core.context import Machine, Ranks
from vitok_core.health.outcome import Outcome
from vitok_core.health.timing import seconds
from vitok_core.training.distributed import join

_VALUES = {"cuda": 2**26, "cpu": 2**16}  # float32: 256 MB are about the gradients of S-B
_PROCESSES = 2  # on the CPU


def all_reduce(kind: str) -> Outcome:
    """NCCL on GPUs, gloo on the CPU, through the code that trainings use.

    Bus bandwidth as NCCL's tests count it: 2·(n - 1)/n of the bytes, by the time of one sum.
    """
    size = torch.cuda.device_count() if kind == "cuda" else _PROCESSES
    if size < 2:
        return Outcome(True, "one GPU: nothing to sum over")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "rank0.json"
        spawn(_rank, (kind, size, port, str(told)), nprocs=size)  # type: ignore[no-untyped-call]
        found = json.loads(told.read_text())
    bandwidth = 2 * (size - 1) / size * 4 * _VALUES[kind] / found["seconds"]
    said = f"{size} processes: {bandwidth / 1e9:.3g} GB/s bus bandwidth"
    values = {"processes": size, "bytes": 4 * _VALUES[kind], "bus_bytes_per_second": bandwidth}
    return Outcome(found["right"], said if found["right"] else "wrong sums", values=values)


def _rank(rank: int, kind: str, size: int, port: int, told: str) -> None:
    ranks = Ranks(rank, size, rank, "localhost", port)
    with join(Machine(device=kind, ranks=ranks)) as world:
        flat = torch.full((_VALUES[kind],), float(rank), device=world.device)
        dist.all_reduce(flat)
        right = bool((flat == size * (size - 1) / 2).all())
        flat.zero_()
        taken = seconds(lambda: dist.all_reduce(flat), world.device)
        if world.first:
            Path(told).write_text(json.dumps({"right": right, "seconds": taken}))
