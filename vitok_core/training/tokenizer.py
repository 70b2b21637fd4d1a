"""Stage 1: train a ViTok auto-encoder (§2.3), stoppable at any step and resumable bit by bit.

Everything random derives from (seed, stream, global sample index), never from how long the process
has lived, so a run that was killed and resumed ends with the weights of an undisturbed one.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from vitok_core.config import TokenizerJob
from vitok_core.context import Context
from vitok_core.data.sampler import loader
from vitok_core.errors import Stopped
from vitok_core.objectives.reconstruction import check_supported
from vitok_core.training.checkpoint import (
    Found,
    config_sha256,
    first_whole,
    load_checkpoint,
    prune,
    save_checkpoint,
    step_path,
)
from vitok_core.training.distributed import World, join
from vitok_core.training.final import save_final
from vitok_core.training.setup import Run, build_run
from vitok_core.training.step import train_step

LOGGED_POINTS = 100  # a learning curve's length: more would only swell the journal
# The one metric that two runs of the same job do not share.
THROUGHPUT = "images_per_second"


def train_tokenizer(config: TokenizerJob, context: Context) -> None:
    """Train to the last step and leave `checkpoints/<attempt>/final.pt`.

    Raises:
        Stopped: the context asked for it; the checkpoint is written.
        Diverged: loss or gradient stopped being finite; nothing was overwritten.
    """
    check_supported(config.loss)
    torch.set_num_threads(context.machine.threads)
    context.checkpoints.mkdir(parents=True, exist_ok=True)
    with join(context.machine) as world:
        _train(config, context, world)


def _train(config: TokenizerJob, context: Context, world: World) -> None:
    # Data, model and optimizer; then the furthest whole checkpoint, if there is one.
    run = build_run(config, context, world)
    _resume(run)

    # One pass is one optimizer step.
    total, batch = config.train.steps, config.train.batch
    meter = _Meter(run)
    for images, _, indices in loader(
        run.crops, batch, range(run.step, total), context.machine.workers, world.rank, world.size
    ):
        _stop_if_asked(run)
        terms = train_step(run, images, indices.tolist())
        meter.report(terms)
        every = context.machine.checkpoint_every
        if every is not None and run.step % every == 0 and run.step < total:
            _save_step(run)

    # The end: final weights first, only then may the optimizer's state go.
    if world.first:
        save_final(run)
        prune(context.checkpoints, keep=0)


class _Meter:
    """Thins a learning curve out to about `LOGGED_POINTS` steps, and adds the throughput."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.period = max(1, run.config.train.steps // LOGGED_POINTS)
        self._since = (time.perf_counter(), run.step)

    def report(self, terms: dict[str, float]) -> None:
        """Log the terms of the step just done if its turn has come."""
        run, context = self.run, self.run.context
        context.progress(run.step, run.config.train.steps, "steps")
        if run.step % self.period and run.step not in (1, run.config.train.steps):
            return
        then, step = self._since
        self._since = (time.perf_counter(), run.step)
        seconds = max(self._since[0] - then, 1e-9)
        images = (run.step - step) * run.config.train.batch
        for name, value in {**terms, THROUGHPUT: images / seconds}.items():
            context.metric(name, value, run.step)


def _resume(run: Run) -> None:
    """Go on from the furthest whole checkpoint of this configuration."""
    found = _furthest(run)
    if found is None:
        return
    run.model.load_state_dict(found.state["model"])
    # A final checkpoint has no optimizer: nothing is left to optimise.
    if "optimizer" in found.state:
        run.optimizer.load_state_dict(found.state["optimizer"])
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


def _stop_if_asked(run: Run) -> None:
    """All processes stop at the same step, whichever was asked to."""
    reason = run.context.check_stop(run.step)
    if run.world.any(reason is not None):
        _save_step(run)
        raise Stopped(reason or "another process of the job was asked to stop", run.step)


def _save_step(run: Run) -> None:
    """Checkpoint all that the next step depends on, then drop what is older than the last two."""
    if not run.world.first:
        return
    path = step_path(run.context.checkpoints, run.step)
    state = {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
        "config_sha256": config_sha256(run.config),
    }
    save_checkpoint(path, state)
    run.context.checkpoint(path, run.step)
    prune(run.context.checkpoints)
