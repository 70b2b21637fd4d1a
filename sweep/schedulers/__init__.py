"""Places to run jobs. `scheduler` is the one door; a new back-end is one file and one entry."""

from __future__ import annotations

from sweep.layout import Root
from sweep.schedulers.base import Scheduler
from vitok_core.errors import UserError

NAMES = ("local", "inline")


def scheduler(name: str, root: Root) -> Scheduler:
    """The back-end of that name over one results root; UserError for an unknown one."""
    if name == "local":
        from sweep.schedulers.local import LocalScheduler

        return LocalScheduler(root)
    if name == "inline":
        from sweep.schedulers.inline import InlineScheduler

        return InlineScheduler()
    raise UserError(f"scheduler {name!r}: expected one of {', '.join(NAMES)}")
