"""Places to run jobs. `scheduler` is the one door; a new back-end is one file and one entry."""

from __future__ import annotations

import shutil

from sweep.layout import Root
from sweep.schedulers.base import Scheduler
from vitok_core.errors import UserError

NAMES = ("local", "inline", "slurm")


def scheduler(name: str, root: Root) -> Scheduler:
    """The back-end of that name over one results root; UserError for an unknown one.

    To be asked, or told to stop: who submits gives it the site's settings and its own limits.
    """
    if name == "local":
        from sweep.schedulers.local import LocalScheduler

        return LocalScheduler(root)
    if name == "inline":
        from sweep.schedulers.inline import InlineScheduler

        return InlineScheduler()
    if name == "slurm":
        from sweep.schedulers.slurm.scheduler import SlurmScheduler

        return SlurmScheduler(root)
    raise UserError(f"scheduler {name!r}: expected one of {', '.join(NAMES)}")


def default_name() -> str:
    """Where neither the user nor the site file says: Slurm where there is one, else this machine.

    Inside of an allocation (`salloc`) that reaches this host the allocation is the machine.
    """
    from sweep.schedulers.allocation import current

    if current() is not None:
        return "local"
    return "slurm" if shutil.which("sbatch") else "local"
