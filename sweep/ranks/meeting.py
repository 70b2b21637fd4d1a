"""How the processes of one job meet: rank 0 starts the others, or Slurm has started them all."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from socket import socket

from sweep.model import Resources
from sweep.ranks.channel import Channel, accept, knock, listen
from sweep.ranks.crew import Crew, PeerDied
from sweep.stopping import Signals
from vitok_core.errors import UserError

PEER = "VITOK_PEER"  # what a peer that rank 0 starts is told of the meeting

_PACKAGES = Path(__file__).resolve().parents[2]  # a peer imports what this process imports
_PATIENCE = 300.0  # seconds for all to be there: a shared file system serves many starting Pythons
_LOOK_EVERY = 0.5
_GOODBYE = 10.0  # seconds for a peer to end by itself
# Below the ports that systems give out by themselves; some for each job, should one be taken.
_FIRST_PORT, _PORTS, _PORTS_PER_JOB = 12_000, 20_000, 4


class Spawned(Crew):
    """Peers on this machine, started by this process when a job first needs them."""

    def __init__(self, signals: Signals) -> None:
        super().__init__(signals)
        self._processes: list[subprocess.Popen[bytes]] = []

    def check(self, resources: Resources) -> None:
        """A job of several nodes needs a scheduler that has them."""
        if resources.nodes > 1:
            raise UserError(
                f"this job runs on {resources.nodes} nodes, and this is one machine; launch it on "
                "Slurm, or launch again with resources of one node"
            )

    def _gather(self, size: int) -> None:
        if len(self._channels) == size - 1:
            return
        self.end()
        token = secrets.token_hex(16)
        with listen(only_here=True) as door:
            port = door.getsockname()[1]
            self._processes = [_start(rank, port, token) for rank in range(1, size)]
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
    """The other tasks of this Slurm job step, which look for rank 0 by themselves."""

    def __init__(self, signals: Signals, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__(signals)
        self._tasks = int(environ["SLURM_NTASKS"])
        self._token = _token(environ)
        self._door = _open_door(environ)
        self._came = False

    def __exit__(self, *error: object) -> None:
        if not self._came and self._tasks > 1:  # nothing was to be done: they must hear of it
            self._gather(self._tasks)
        super().__exit__(*error)
        self._door.close()

    def _see_off(self) -> None:
        """They are Slurm's."""

    def check(self, resources: Resources) -> None:
        """No more processes than Slurm has started."""
        if resources.world > self._tasks:
            raise UserError(
                f"this job runs as {resources.world} processes, and its submission has "
                f"{self._tasks}; launch again"
            )

    def _gather(self, size: int) -> None:
        if self._came and not self._channels:
            raise PeerDied("the other processes of this submission are gone")
        if not self._came:
            for rank, channel in _arrivals(self._door, self._token, self._tasks).items():
                self._welcome(rank, channel)
            self._came = True


@dataclass(frozen=True)
class Seat:
    """What a peer knows of its place: its rank, its number on its node, and where rank 0 is."""

    rank: int
    local: int
    host: str
    ports: Sequence[int]
    token: str


def seat(environ: Mapping[str, str] = os.environ) -> Seat:
    """By what rank 0 told this process, else by Slurm's environment."""
    if PEER in environ:
        return Seat(**json.loads(environ[PEER]))
    return Seat(
        int(environ["SLURM_PROCID"]),
        int(environ["SLURM_LOCALID"]),
        # Where srun was called: on the first node, as is rank 0. An address, which needs no name.
        environ["SLURM_LAUNCH_NODE_IPADDR"],
        _ports(environ),
        _token(environ),
    )


def find_rank0(seat: Seat) -> Channel:
    """The way to rank 0; UserError where it is not found in time."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        for port in seat.ports:
            channel = knock(seat.host, port, seat.token, rank=seat.rank)
            if channel is not None:
                return channel
        time.sleep(_LOOK_EVERY)
    raise UserError(
        f"rank {seat.rank}: rank 0 was not found on {seat.host} (ports {list(seat.ports)}) in "
        f"{_PATIENCE:.0f} s"
    )


def _start(rank: int, port: int, token: str) -> subprocess.Popen[bytes]:
    told = Seat(rank, rank, "127.0.0.1", [port], token)
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


def _open_door(environ: Mapping[str, str]) -> socket:
    for port in _ports(environ):
        try:
            return listen(port)
        except OSError:
            continue  # another job's
    raise UserError(f"ports {_ports(environ)} are all taken on this node; launch again")


def _ports(environ: Mapping[str, str]) -> list[int]:
    """The ports that a Slurm job tries in turn; the jobs next to it have others."""
    first = int(environ["SLURM_JOB_ID"]) * _PORTS_PER_JOB
    return [_FIRST_PORT + (first + k) % _PORTS for k in range(_PORTS_PER_JOB)]


def _token(environ: Mapping[str, str]) -> str:
    """By which tasks of this run of the job know each other."""
    return f"{environ['SLURM_JOB_ID']}.{environ.get('SLURM_RESTART_COUNT', '0')}"
