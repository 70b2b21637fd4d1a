"""How the processes of one job meet: rank 0 starts them, or Slurm or torchrun has done so."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from socket import socket
from typing import Self

from sweep.model import Resources
from sweep.ranks.channel import Channel, accept, knock, listen
from sweep.ranks.crew import Crew, PeerDied
from sweep.ranks.place import Place, of_torchrun
from sweep.stopping import Signals
from vitok_core.errors import UserError

PEER = "VITOK_PEER"  # what a peer that rank 0 starts is told of the meeting

_PACKAGES = Path(__file__).resolve().parents[2]  # a peer imports what this process imports
_PATIENCE = 300.0  # seconds for all to be there: a shared file system serves many starting Pythons
_LOOK_EVERY = 0.5
_GOODBYE = 10.0  # seconds for a peer to end by itself


class Spawned(Crew):
    """Peers on this machine, started by this process when a job first needs them."""

    def __init__(self, signals: Signals) -> None:
        super().__init__(signals)
        self._processes: list[subprocess.Popen[bytes]] = []

    def size(self, resources: Resources) -> int:
        """A job of several nodes needs a scheduler that has them."""
        if resources.nodes > 1:
            raise UserError(
                f"this job runs on {resources.nodes} nodes, and this is one machine; launch it on "
                "Slurm, or launch again with resources of one node"
            )
        return resources.world

    def _gather(self, size: int) -> None:
        if len(self._channels) == size - 1:
            return
        self.end()
        token = secrets.token_hex(16)
        with listen(only_here=True) as door:
            port = door.getsockname()[1]
            self._processes = [_start(rank, size, port, token) for rank in range(1, size)]
            for rank, channel in _arrivals(door, token, size, self._check_alive).items():
                self._welcome(rank, channel)

    def _check_alive(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                raise RuntimeError(
                    f"a process of the job ended with {process.returncode} before it began; its "
                    "last words are above in this log"
                )

    def _see_off(self) -> None:
        processes, self._processes = self._processes, []
        deadline = time.monotonic() + _GOODBYE
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Arriving(Crew):
    """Processes that were started beside this one, and look for it by themselves."""

    def __init__(self, signals: Signals, place: Place) -> None:
        super().__init__(signals)
        self._place = place
        self._lost = PeerDied("the other processes of this submission are gone")

    def __enter__(self) -> Self:
        """Meet them at once: they do not wait for ever, and the first job may not need them."""
        with _open_door(self._place.ports) as door:
            try:
                found = _arrivals(door, self._place.token, self._place.tasks)
            except PeerDied as error:
                self._lost = error  # the first job that needs them says so
                found = {}
        for rank, channel in found.items():
            self._welcome(rank, channel)
        return self

    def _see_off(self) -> None:
        """They belong to who started them."""

    def size(self, resources: Resources) -> int:
        """No more processes than were started."""
        if self._place.fixed:
            return self._place.tasks
        if resources.world > self._place.tasks:
            raise UserError(
                f"this job runs as {resources.world} processes, and its submission has "
                f"{self._place.tasks}; launch again"
            )
        return resources.world

    def _gather(self, size: int) -> None:
        if not self._channels:
            raise self._lost


def by_hand(signals: Signals) -> Crew:
    """The processes beside one that a person started: torchrun's, else those that it starts."""
    place = of_torchrun()
    return Arriving(signals, place) if place else Spawned(signals)


def find_rank0(place: Place, signals: Signals) -> Channel:
    """The way to rank 0; UserError where it is not found in time, or this process must end."""
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE and signal.SIGTERM not in signals.received:
        for port in place.ports:
            channel = knock(place.host, port, place.token, rank=place.rank)
            if channel is not None:
                return channel
        time.sleep(_LOOK_EVERY)
    raise UserError(
        f"rank {place.rank}: rank 0 was not found on {place.host} (ports {list(place.ports)}) in "
        f"{time.monotonic() - began:.0f} s"
    )


def _start(rank: int, size: int, port: int, token: str) -> subprocess.Popen[bytes]:
    told = Place(rank, rank, size, "127.0.0.1", [port], token)
    path = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "sweep.ranks.peer"],
        stdin=subprocess.DEVNULL,
        # Not on its command line, which everybody can read.
        env={
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONSAFEPATH": "1",  # else packages in the working directory would come first
            PEER: json.dumps(asdict(told)),
        },
    )


def _arrivals(
    door: socket, token: str, size: int, check: Callable[[], None] = lambda: None
) -> dict[int, Channel]:
    """The channel of every peer, once all are there; `check` is asked meanwhile, and may raise.

    Raises:
        PeerDied: one does not come in time.
    """
    door.settimeout(_LOOK_EVERY)
    found: dict[int, Channel] = {}
    deadline = time.monotonic() + _PATIENCE
    while len(found) < size - 1:
        came = accept(door, token)
        if came is not None:
            channel, about = came
            found[about["rank"]] = channel
        check()
        if time.monotonic() > deadline:
            missing = sorted(set(range(1, size)) - found.keys())
            raise PeerDied(f"ranks {missing} did not come in {_PATIENCE:.0f} s; see their log")
    return found


def _open_door(ports: Sequence[int]) -> socket:
    for port in ports:
        try:
            return listen(port)
        except OSError:
            continue  # another job's
    raise UserError(f"ports {list(ports)} are all taken on this node; launch again")
