"""The loop that every training shares: data, resume, curves, checkpoints, milestones, the end.

A training is stoppable at any step and resumable bit by bit. Everything random derives from (seed,
stream, global sample index), never from how long the process has lived, so a run that was killed
and resumed ends with the weights of an undisturbed one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from vitok_core.data.sampler import loader
from vitok_core.data.samples import Batch
from vitok_core.errors import Stopped
from vitok_core.training.checkpoint import (
    Found,
    State,
    config_sha256,
    first_whole,
    load_checkpoint,
    prune,
    save_checkpoint,
    step_path,
)
from vitok_core.training.final import save_final, save_milestone
from vitok_core.training.setup import Run

LOGGED_POINTS = 100  # a learning curve's length: more would only swell the journal
# The one metric that two runs of the same job do not share.
THROUGHPUT = "images_per_second"


class Stage(Protocol):
    """A training as the loop sees it: what is trained, and how one step changes it."""

    @property
    def run(self) -> Run:
        """Its configuration, data and step count; the loop counts."""

    def update(self, batch: Batch) -> dict[str, float]:
        """One step on this process's share of the global batch; returns the named terms of its
        learning curves. Raises Diverged with the weights as they were."""

    def state(self) -> State:
        """All weights, averages and optimizers: what the next step depends on."""

    def load(self, state: State) -> None:
        """Go on from what `state` gave, with its `step`; after the last one, from `weights`."""

    def weights(self) -> State:
        """What a finished training leaves: `model`, the weights to evaluate, and perhaps more."""

    def summary(self) -> dict[str, str]:
        """What else people should know about these weights, beside their hash."""


def train(stage: Stage) -> None:
    """Train to the last step and leave `checkpoints/<attempt>/final.pt`.

    Raises:
        Stopped: the context asked for it; the checkpoint is written.
        Diverged: a loss or gradient stopped being finite; nothing was overwritten.
    """
    run, context = stage.run, stage.run.context
    total, every = run.train.steps, context.machine.checkpoint_every
    context.checkpoints.mkdir(parents=True, exist_ok=True)

    # The furthest whole checkpoint, if there is one.
    _resume(stage)

    # One pass is one optimizer step.
    meter = _Meter(run)
    batches = loader(
        run.data, run.train.batch, range(run.step, total), context.machine.workers,
        run.world.rank, run.world.size,
    )  # fmt: skip
    for batch in batches:
        _stop_if_asked(stage)
        terms = stage.update(batch)
        run.step += 1
        meter.report(terms)
        # Before the step's checkpoint: a run that resumes from that one would pass it over.
        if run.step in run.train.milestones and run.world.first:
            save_milestone(run, stage.weights())
        if every is not None and run.step % every == 0 and run.step < total:
            _save_step(stage)

    # The end: final weights first, only then may the optimizer's state go.
    if run.world.first:
        save_final(run, stage.weights(), stage.summary())
        prune(context.checkpoints, keep=0)


class _Meter:
    """Thins a learning curve out to about `LOGGED_POINTS` steps, and adds the throughput."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.period = max(1, run.train.steps // LOGGED_POINTS)
        self._since = (time.perf_counter(), run.step)

    def report(self, terms: dict[str, float]) -> None:
        """Log the terms of the step just done if its turn has come."""
        run, context = self.run, self.run.context
        context.progress(run.step, run.train.steps, "steps")
        if run.step % self.period and run.step not in (1, run.train.steps):
            return
        then, step = self._since
        self._since = (time.perf_counter(), run.step)
        seconds = max(self._since[0] - then, 1e-9)
        images = (run.step - step) * run.train.batch
        for name, value in {**terms, THROUGHPUT: images / seconds}.items():
            context.metric(name, value, run.step)


def _resume(stage: Stage) -> None:
    """Go on from the furthest whole checkpoint of this configuration."""
    run = stage.run
    found = _furthest(run)
    if found is None:
        return
    stage.load(found.state)
    run.step = found.state["step"]
    run.context.resumed(run.step, found.path)


def _furthest(run: Run) -> Found | None:
    """Rank 0 looks for it; the others read the same file."""
    found = None
    if run.world.first:
        found = first_whole(run.context.earlier_checkpoints(), config_sha256(run.config))
    path = run.world.tell(None if found is None else str(found.path))
    if found is None and path is not None:
        found = Found(Path(path), load_checkpoint(Path(path)))
    return found


def _stop_if_asked(stage: Stage) -> None:
    """All processes stop at the same step, whichever was asked to."""
    run = stage.run
    reason = run.world.asked_to_stop(run.context, run.step)
    if reason is not None:
        _save_step(stage)
        raise Stopped(reason, run.step)


def _save_step(stage: Stage) -> None:
    """Checkpoint all that the next step depends on, then drop what is older than the last two."""
    run = stage.run
    if not run.world.first:
        return
    path = step_path(run.context.checkpoints, run.step)
    state = {**stage.state(), "step": run.step, "config_sha256": config_sha256(run.config)}
    save_checkpoint(path, state)
    run.context.checkpoint(path, run.step)
    prune(run.context.checkpoints)
