"""Stopping trials that are not worth their rest, judged by the curves of those before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import quantiles

from sweep.cancelling import record, stop
from sweep.launchlog import LaunchLog
from sweep.layout import Root
from sweep.reconcile import State
from sweep.search import records
from sweep.search.model import Pruner
from sweep.search.outcome import Run, TrialState
from sweep.status import ACTIVE, JobStatus, job_statuses
from sweep.store import Store, queries, sync
from sweep.turns import turn

Curve = Mapping[int, float]  # the value of the metric by step
_LEAST = 3  # trials to be compared with
_TRAIN = ("tokenizer", "finetune", "generator")  # kinds that have curves
_CUTS = {"median": 1, "quartile": 2}  # of the quartiles


def verdict(pruner: Pruner, own: Sequence[Curve], others: Sequence[Sequence[Curve]]) -> str | None:
    """Why to stop a trial; None: let it run.

    What is compared is the best value so far, at the last step that all of its jobs have reached;
    a shorter training is compared by all of it.

    Args:
        own: the curves of its jobs.
        others: those of the trials of its study that are complete.
    """
    if not own or not all(own):
        return None
    step = min(max(curve) for curve in own)
    if step < max(1, pruner.after):
        return None
    sign = -1.0 if pruner.maximize else 1.0
    mine = _so_far(own, step, sign)
    before = [_so_far(curves, step, sign) for curves in others if curves and all(curves)]
    theirs = [value for value in before if value is not None]
    if mine is None or len(theirs) < _LEAST:
        return None
    bound = quantiles(theirs, n=4, method="inclusive")[_CUTS[pruner.rule]]
    if mine <= bound:
        return None
    at = "median" if pruner.rule == "median" else "third quartile"
    return (
        f"at step {step} its best {pruner.metric} is {sign * mine:.4g}, "
        f"the {at} of {len(theirs)} trials {sign * bound:.4g}"
    )


def _so_far(curves: Sequence[Curve], step: int, sign: float) -> float | None:
    """The mean over the curves of their best values up to a step; the smaller, the better."""
    found = []
    for curve in curves:
        there = [sign * value for at, value in curve.items() if at <= step]
        if not there:
            return None
        found.append(min(there))
    return sum(found) / len(found)


def _before(run: Run, runs: Sequence[Run]) -> list[Run]:
    """The complete trials of the same study: those of another one (another patch, say) have losses
    of their own height."""
    study = run.trial.study
    return [
        each
        for each in runs
        if each.trial.study == study and each.outcome.state is TrialState.COMPLETE
    ]


class Pruning:
    """Applies the rule of a search to its running trials, and cancels what it stops."""

    def __init__(
        self,
        pruner: Pruner,
        root: Root,
        store: Store,
        log: LaunchLog,
        sweep: str,
        say: Callable[[str], None],
    ) -> None:
        self._pruner, self._root, self._store = pruner, root, store
        self._log, self._sweep, self._say = log, sweep, say
        self._known: dict[str, Curve] = {}  # of jobs that are done

    def stop(self, runs: Sequence[Run], jobs: Sequence[JobStatus]) -> Iterator[tuple[Run, str]]:
        """Cancel running trials that the rule stops; each with the reason.

        Args:
            jobs: the status of all jobs of the trials.
        """
        by_id = {job.id: job for job in jobs}
        for run in runs:
            kind = self._training(run, by_id)
            if run.outcome.state is not TrialState.RUNNING or kind is None:
                continue
            others = [self._curves(each, kind, by_id) for each in _before(run, runs)]
            why = verdict(self._pruner, self._curves(run, kind, by_id), others)
            if why is not None:
                records.write_pruned(self._log, self._sweep, run.trial, why)
                self._cancel(run, runs)
                yield run, why

    def resume(self, runs: Sequence[Run]) -> None:
        """Cancel what a killed controller had stopped, but not cancelled yet."""
        for run in runs:
            if run.outcome.state is TrialState.PRUNED:
                self._cancel(run, runs)

    def _cancel(self, run: Run, runs: Sequence[Run]) -> None:
        """Stop the jobs that this trial alone has; harmless where they have ended."""
        others = (
            each for each in runs if each is not run and each.outcome.state is TrialState.RUNNING
        )
        shared = {job for each in others for job in each.trial.jobs}
        shared |= records.of_others(self._store, self._sweep, run.trial.jobs)
        own = [job for job in run.trial.jobs if job not in shared]
        with turn(self._root, self._say):
            sync(self._store, self._root)
            seen = job_statuses(self._store, self._root, own)
            facts = queries.facts(self._store, own)
            active = [facts[job.id] for job in seen if job.state in ACTIVE]
            stop(active, self._root)
            record("cancel", active, self._root)

    @staticmethod
    def _training(run: Run, by_id: Mapping[str, JobStatus]) -> str | None:
        """The kind of training that a trial is at."""
        own = (by_id[job] for job in run.trial.jobs if job in by_id)
        kinds = (job.kind for job in own if job.state is State.RUNNING and job.kind in _TRAIN)
        return next(kinds, None)

    def _curves(self, run: Run, kind: str, by_id: Mapping[str, JobStatus]) -> list[Curve]:
        """The curves of a trial's jobs of one kind; an empty one where there is none yet."""
        own = [job for job in run.trial.jobs if job in by_id and by_id[job].kind == kind]
        open_ones = [job for job in own if job not in self._known]
        found = records.curves(self._store, open_ones, self._pruner.metric)
        done = [job for job in open_ones if by_id[job].state is State.DONE]
        self._known |= {job: found.get(job, {}) for job in done}
        return [self._known.get(job) or found.get(job, {}) for job in own]
