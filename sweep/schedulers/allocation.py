"""Running inside of an allocation (`salloc`, `srun --pty`): it is the machine that jobs share."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Allocation:
    """What Slurm has given to this shell on this host."""

    job: str
    threads: int


def current(environ: Mapping[str, str] | None = None, host: str | None = None) -> Allocation | None:
    """The allocation that this process runs in; None outside of one.

    None also on a login node whose shell only holds an allocation: jobs started here would run
    beside it. There `srun --pty bash` leads to the allocation's own node.
    """
    environ = os.environ if environ is None else environ
    host = socket.gethostname().partition(".")[0] if host is None else host
    job, node = environ.get("SLURM_JOB_ID"), environ.get("SLURMD_NODENAME")
    if not job or not (node or environ.get("SLURM_JOB_NODELIST") == host):
        return None
    threads = re.match(r"\d+", environ.get("SLURM_CPUS_ON_NODE") or "")
    return Allocation(job, int(threads[0])) if threads else None
