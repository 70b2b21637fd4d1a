"""Where `launch` would run jobs, why there, and what this machine has for them."""

from __future__ import annotations

import shutil

from sweep.doctor.finding import Finding, ok, problem
from sweep.schedulers import default_name
from sweep.schedulers.allocation import current
from sweep.schedulers.machine import capacity
from sweep.schedulers.queue import Limits
from sweep.site import Site


def chosen(site: Site) -> str:
    """The scheduler of a `launch` without --scheduler."""
    return site.scheduler or default_name()


def scheduler(site: Site) -> list[Finding]:
    """The default scheduler with its reason, and what the local one may hand out."""
    name, inside = chosen(site), current()
    if site.scheduler is not None:
        why = "the site file says so"
    elif inside is not None:
        why = f"inside of Slurm job {inside.job}, which is the machine then"
    else:
        why = "sbatch is here" if name == "slurm" else "no sbatch here"
    if name == "slurm" and shutil.which("sbatch") is None:
        mend = "go to a login node, or load the site's Slurm module; or launch --scheduler local"
        return [problem("scheduler", f"slurm ({why}), but sbatch is not here", mend)]
    there = capacity(Limits())
    gpus = f"{len(there.gpus)} GPUs" if there.gpus else "no GPU"
    has = f"{there.threads} threads, {there.memory_gb:,.0f} GB, {gpus}"
    return [ok("scheduler", f"{name} ({why})"), ok("this machine", has)]
