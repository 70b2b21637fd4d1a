"""The Optuna studies of a sweep, `search/<sweep>.db`: an index over its trials, like the database.

Journals hold the trials and results hold their values; a study that says otherwise, or is not
there, is made anew from them. Optuna's own tools (optuna-dashboard) read it while it grows.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial

from sweep.layout import Root
from sweep.search.model import Search
from sweep.search.outcome import Outcome, Run, TrialState
from sweep.search.samplers import Accept, Exhausted, Within, distributions, told
from sweep.search.trials import Trial
from sweep.store.advice import IndexFull
from vitok_core.errors import UserError

_STATES = {
    TrialState.RUNNING: optuna.trial.TrialState.RUNNING,
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
}
_PATIENCE = 60.0  # seconds that a reader may hold the file
_REFUSALS = {  # by SQLite's primary code
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "its disk cannot be read or written (full? over quota?)",
    sqlite3.SQLITE_READONLY: "cannot be written",
    sqlite3.SQLITE_PERM: "cannot be written",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened or made",
    sqlite3.SQLITE_BUSY: f"another process has held it for over {_PATIENCE:.0f} s",
}


class StudyFile:
    """The studies of one sweep. Its owner holds the sweep's lock."""

    def __init__(self, root: Root, sweep: str, search: Search) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        root.searches.mkdir(parents=True, exist_ok=True)
        self._path = root.searches / f"{sweep}.db"
        self._search, self._space = search, distributions(search)
        maximize, minimize = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        self._directions = [maximize if each.maximize else minimize for each in search.objectives]
        self._studies: dict[str, optuna.Study] = {}

    def fit(self, runs: Mapping[str, Sequence[Run]]) -> None:
        """Make each study hold just these trials, in this order. Call it first.

        Raises:
            UserError: its place lets nobody write the file.
        """
        with self._explained():
            try:
                self._fit(runs)
            except Exception as error:  # a damaged file's surfaces as almost any
                if _refusal(error) is not None:
                    raise
                for end in ("", "-journal", "-wal", "-shm"):
                    self._path.with_name(self._path.name + end).unlink(missing_ok=True)
                self._fit(runs)

    def ask(self, name: str, number: int, total: int, accept: Accept) -> Run | None:
        """The next trial, with what the sampler noted; None: nothing is left.

        Args:
            number: of trials that the study has.
            total: of trials that it will have.
            accept: the trial of a combination that may run and was not tried; None refuses it.
        """
        study = self._studies[name]
        study.sampler = sampler = Within(self._search, number, total, accept)
        with self._explained():
            try:
                asked = study.ask(fixed_distributions=self._space)
                if sampler.taken is None:  # each parameter has one value: Optuna has asked nobody
                    sampler.sample_relative(study, study.trials[asked.number], self._space)
            except Exhausted:
                study.tell(number, state=optuna.trial.TrialState.FAIL)
                return None
            assert sampler.taken is not None
            for key, value in _told_of(sampler.taken).items():
                asked.set_user_attr(key, value)
            return Run(sampler.taken, dict(study.trials[asked.number].system_attrs))

    def tell(self, name: str, number: int, outcome: Outcome) -> None:
        """How a running trial has ended."""
        values = list(outcome.values) if outcome.state is TrialState.COMPLETE else None
        with self._explained():
            self._studies[name].tell(number, values, state=_STATES[outcome.state])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What the file's place refuses is for the user to mend."""
        try:
            yield
        except Exception as error:
            said = _refusal(error)
            if said is None:
                raise
            kind = IndexFull if said == _REFUSALS[sqlite3.SQLITE_FULL] else UserError
            raise kind(
                f"{self._path}: {said}; the journals have all trials: mend it and launch again"
            ) from error

    def _fit(self, runs: Mapping[str, Sequence[Run]]) -> None:
        options = {"connect_args": {"timeout": _PATIENCE}}
        self._storage = RDBStorage(f"sqlite:///{self._path}", engine_kwargs=options)
        for name, of_study in runs.items():
            study = self._study(name)
            if not self._holds(study, of_study):
                optuna.delete_study(study_name=name, storage=self._storage)
                study = self._study(name)
                study.add_trials([self._frozen(run) for run in of_study])
            self._studies[name] = study

    def _study(self, name: str) -> optuna.Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(
                study_name=name, storage=self._storage, load_if_exists=True,
                directions=self._directions,
            )  # fmt: skip
            if study.directions != self._directions:
                optuna.delete_study(study_name=name, storage=self._storage)
                study = optuna.create_study(
                    study_name=name, storage=self._storage, directions=self._directions
                )
            study.set_metric_names([str(each) for each in self._search.objectives])
        return study

    def _holds(self, study: optuna.Study, runs: Sequence[Run]) -> bool:
        trials = study.trials
        return len(trials) == len(runs) and all(map(self._same, trials, runs))

    def _same(self, trial: FrozenTrial, run: Run) -> bool:
        values = list(run.outcome.values) if run.outcome.state is TrialState.COMPLETE else None
        return (
            trial.params == told(self._search, run.trial.params)
            and trial.distributions == self._space
            and trial.state is _STATES[run.outcome.state]
            and trial.values == values
        )

    def _frozen(self, run: Run) -> FrozenTrial:
        complete = run.outcome.state is TrialState.COMPLETE
        return create_trial(
            state=_STATES[run.outcome.state],
            values=list(run.outcome.values) if complete else None,
            params=told(self._search, run.trial.params),
            distributions=self._space,
            system_attrs=dict(run.attrs),
            user_attrs=_told_of(run.trial),
        )


def _refusal(error: BaseException | None) -> str | None:
    """What the place of the file refuses, by SQLite's code; None of any other error."""
    while error is not None:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            return _REFUSALS.get(code & 0xFF)
        error = error.__cause__ or error.__context__
    return None


def _told_of(trial: Trial) -> dict[str, Any]:
    """What the dashboard shows beside the parameters."""
    return {"point": trial.slug, **trial.costs}
