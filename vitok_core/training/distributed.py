"""One job in several equal processes, each of which has the whole model.

In a training each has an equal share of a batch. The gradients are summed in one buffer whose
layout never changes. That is why this is not torch's DistributedDataParallel: it regroups its
buckets after the first backward pass, and from three processes on the sums of a resumed run then
round otherwise than those of an undisturbed one.

Other jobs deal whole batches in turn (`World.in_turn`), and the first process puts the results
together in the batches' order: they have the very bits that one process would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from vitok_core.context import Context, Machine, Ranks
from vitok_core.errors import Stopped, UserError

T = TypeVar("T")

_START = timedelta(minutes=5)  # for all processes to find each other
_PATIENCE = timedelta(minutes=30)  # for the slowest one between two steps: rank 0 writes files


@dataclass(frozen=True)
class World:
    """The processes of one job, as one of them sees it. Alone, every method is the identity.

    All of them must call the same methods in the same order.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that reports and writes files."""
        return self.rank == 0

    def check_batch(self, batch: int) -> None:
        """UserError unless every process gets an equal share of a global batch."""
        if batch % self.size:
            raise UserError(
                f"the batch of {batch} does not divide by the {self.size} processes of this job; "
                "change train.batch, or the resources' nodes, gpus or processes"
            )

    def average(
        self, parameters: Iterable[nn.Parameter], terms: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Replace all gradients by their means over the processes; returns the means of the terms.

        The gradients are of the mean loss of each process's share, so their mean is that of the
        global batch. What a share did not use counts as zero, and stays without a gradient where
        none did, as in one process. One collective for all; it needs the gradients' memory once
        more.

        Args:
            terms: scalars in double precision.
        """
        values = torch.stack(list(terms.values()))
        if self.size == 1:
            return dict(zip(terms, values.tolist(), strict=True))
        trained = [p for p in parameters if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        there = torch.tensor([float(p.grad is not None) for p in trained], device=self.device)
        parts = [*gradients, there, values.float()]
        flat = torch.cat([part.reshape(-1) for part in parts])
        dist.all_reduce(flat)
        flat /= self.size
        *means, found, averages = torch.split(flat, [part.numel() for part in parts])
        # One transfer, which waits for the sum.
        numbers = torch.cat([found, averages]).tolist()
        for p, gradient, mean, share in zip(trained, gradients, means, numbers, strict=False):
            if share:
                p.grad = gradient.copy_(mean.view_as(gradient))
        return dict(zip(terms, numbers[len(trained) :], strict=True))

    def any(self, asked: bool) -> bool:
        """Whether any process says yes: all then do the same at the same step."""
        if self.size == 1:
            return asked
        flag = torch.tensor([float(asked)], device=self.device)
        dist.all_reduce(flag)
        return bool(flag.item())

    def asked_to_stop(self, context: Context, step: int | None = None) -> str | None:
        """Why all of them must stop now, whichever was asked to; None: nobody was."""
        reason = context.check_stop(step)
        if not self.any(reason is not None):
            return None
        return reason or "another process of the job was asked to stop"

    def in_turn(self, count: int, work: Callable[[int], T], context: Context) -> Iterator[T]:
        """What `work(k)` gives for k = 0, 1, … count - 1, in this order: to the first process.

        Work k is done by process k mod size. All must go through the iterator, which is empty for
        the others. What is sent should be small: it is pickled.

        Raises:
            Stopped: in all processes, before the same round.
        """
        for first in range(0, count, self.size):
            reason = self.asked_to_stop(context)
            if reason is not None:
                raise Stopped(reason)
            k = first + self.rank
            for done in self.collect([work(k)] if k < count else []):
                yield from done

    def collect(self, own: T) -> list[T]:
        """What all processes have, in the order of their ranks: for the first; the others get
        nothing."""
        if self.size == 1:
            return [own]
        held: list[Any] | None = [None] * self.size if self.first else None
        dist.gather_object(own, held)
        return held or []

    def gather(self, words: Sequence[str]) -> list[str]:
        """The words of all processes, in the order of their ranks. Most often nobody has any."""
        if self.size == 1 or not self.any(bool(words)):
            return list(words)
        held: list[list[str]] = [[] for _ in range(self.size)]
        dist.all_gather_object(held, list(words))
        return [word for each in held for word in each]

    def spread(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers."""
        if self.size > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def tell(self, value: T) -> T:
        """The first process's value, whatever the others hold."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, 0)
        return held[0]


@contextmanager
def join(machine: Machine) -> Iterator[World]:
    """Be one of the job's processes; returns when all are through, or have stopped.

    NCCL on GPUs, gloo on the CPU. After an error the connections are left open: whoever closed them
    first would look like the culprit to the others. The process ends, or joins anew.

    Raises:
        UserError: this process has no GPU of its own.
    """
    ranks = machine.ranks
    device = _device(machine)
    if ranks.size == 1:
        yield World(device)
        return
    _leave()
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=_store(ranks),
        rank=ranks.rank,
        world_size=ranks.size,
        timeout=_PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )
    try:
        yield World(device, ranks.rank, ranks.size)
        dist.barrier()
    except Stopped:
        _leave()
        raise
    _leave()


def _store(ranks: Ranks) -> TCPStore:
    """Where the processes tell each other their addresses; rank 0 keeps it."""
    place = (ranks.host, ranks.port, ranks.size)
    if ranks.rank:
        return TCPStore(*place, timeout=_START)
    return TCPStore(*place, is_master=True, timeout=_START, master_listen_fd=ranks.listener)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _device(machine: Machine) -> torch.device:
    """This process's own device."""
    ranks = machine.ranks
    if ranks.size == 1 or machine.device != "cuda":
        return torch.device(machine.device)
    seen = torch.cuda.device_count()
    number = 0 if seen == 1 else ranks.local  # some sites show each process its own GPU alone
    if number >= seen:
        raise UserError(
            f"process {ranks.local} of its node sees {seen} GPUs; each process needs one: see the "
            "resources' gpus and gres"
        )
    device = torch.device("cuda", number)
    torch.cuda.set_device(device)
    return device
