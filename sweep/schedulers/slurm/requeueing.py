"""Giving a task that must stop back to Slurm, or leaving that to Slurm where it does it itself."""

from __future__ import annotations

import os
import re
import time

from sweep.schedulers.slurm.command import answer
from sweep.stopping import Signals

_PATIENCE = 10.0  # seconds for scontrol
_PAUSE = 2.0


def give_back(signals: Signals) -> None:
    """After a warning, requeue this task; does not return then.

    A preempted one is requeued by Slurm itself when its grace is over. Requeueing it too would race
    with that, and ending now would look like a failure: so it waits to be killed. It may have been
    told by SIGTERM instead of the warning.
    """
    while is_preempted(_show_job()):
        time.sleep(_PAUSE)
    if signals.warned:
        _await_controller(signals)
        signals.requeue()


def is_preempted(shown: str) -> bool:
    """Whether this run of the job is in the grace that preemption leaves it.

    Args:
        shown: what `scontrol show job` prints.
    """
    times = dict(re.findall(r"\b(PreemptTime|StartTime)=(\S+)", shown))
    began: str = times.get("StartTime", "")
    preempted: str = times.get("PreemptTime", "")
    # Slurm's times sort as text; one of an earlier run says nothing of this one.
    return preempted[:1].isdigit() and preempted >= began


def _show_job() -> str:
    return answer(["scontrol", "show", "job", os.environ["SLURM_JOB_ID"]], _PATIENCE) or ""


def _await_controller(signals: Signals) -> None:
    """A controller that is down for a moment must not cost the task its place."""
    while signals.warned and answer(["scontrol", "ping"], _PATIENCE) is None:
        time.sleep(_PAUSE)
