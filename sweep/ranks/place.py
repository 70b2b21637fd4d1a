"""Where a process stands among those of one job, by the environment that its launcher gave it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Below the ports that systems give out by themselves; some for each job, should one be taken.
_FIRST_PORT, _PORTS, _PORTS_PER_JOB = 12_000, 20_000, 4
_LAST_PORT = 65_535
_TORCHRUN = frozenset({"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"})


@dataclass(frozen=True)
class Place:
    """One process of several that were started together.

    Args:
        rank: 0 for the one that has the attempt.
        local: this one's number on its own node.
        tasks: how many were started.
        host, ports: where rank 0 is, and the ports that it tries in turn.
        token: by which the processes of one start know each other.
        fixed: whether a job runs as all of them, whatever its resources say.
    """

    rank: int
    local: int
    tasks: int
    host: str
    ports: Sequence[int]
    token: str
    fixed: bool = False


def of_slurm(environ: Mapping[str, str] = os.environ) -> Place | None:
    """This task's place in its job step; None: it is alone there."""
    tasks = int(environ.get("SLURM_NTASKS", "1"))
    if tasks == 1:
        return None
    job = environ["SLURM_JOB_ID"]
    first = int(job) * _PORTS_PER_JOB  # the jobs next to it have others
    return Place(
        rank=int(environ["SLURM_PROCID"]),
        local=int(environ["SLURM_LOCALID"]),
        tasks=tasks,
        # Where srun was called: on the first node, as is rank 0. An address, which needs no name.
        host=environ["SLURM_LAUNCH_NODE_IPADDR"],
        ports=[_FIRST_PORT + (first + k) % _PORTS for k in range(_PORTS_PER_JOB)],
        token=f"{job}.{environ.get('SLURM_RESTART_COUNT', '0')}",
    )


def of_torchrun(environ: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place among those of `torchrun`; None: it did not start several."""
    if not environ.keys() >= _TORCHRUN or int(environ["WORLD_SIZE"]) == 1:
        return None
    host, port = environ["MASTER_ADDR"], int(environ["MASTER_PORT"])
    run, restart = (environ.get(f"TORCHELASTIC_{name}", "") for name in ("RUN_ID", "RESTART_COUNT"))
    # Its agent holds MASTER_PORT itself.
    way = 1 if port + _PORTS_PER_JOB <= _LAST_PORT else -1
    return Place(
        rank=int(environ["RANK"]),
        local=int(environ["LOCAL_RANK"]),
        tasks=int(environ["WORLD_SIZE"]),
        host=host,
        ports=[port + way * k for k in range(1, _PORTS_PER_JOB + 1)],
        token=f"{host}:{port}.{run}.{restart}",
        fixed=True,
    )
