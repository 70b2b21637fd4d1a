"""The Optuna studies of a sweep, `search/<sweep>.db`: an index over its trials, like the database.

Journals hold the trials and results hold their values; a study that says otherwise, or is not
there, is made anew from them. Optuna's own tools (optuna-dashboard) read it while it grows.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from sqlalchemy.exc import DatabaseError

from sweep.layout import Root
from sweep.search.model import Search
from sweep.search.outcome import Outcome, Run, TrialState
from sweep.search.samplers import Accept, Exhausted, Within, distributions, told
from sweep.search.trials import Trial

_STATES = {
    TrialState.RUNNING: optuna.trial.TrialState.RUNNING,
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
}
_PATIENCE = 60.0  # seconds that a reader may hold the file


class StudyFile:
    """The studies of one sweep. Its owner holds the sweep's lock."""

    def __init__(self, root: Root, sweep: str, search: Search) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        root.searches.mkdir(parents=True, exist_ok=True)
        self._path = root.searches / f"{sweep}.db"
        self._search, self._space = search, distributions(search)
        maximize, minimize = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        self._directions = [maximize if each.maximize else minimize for each in search.objectives]
        self._storage = self._opened()
        self._studies: dict[str, optuna.Study] = {}

    def fit(self, name: str, runs: Sequence[Run]) -> None:
        """Make a study hold just these trials, in this order."""
        study = self._study(name)
        if not self._holds(study, runs):
            optuna.delete_study(study_name=name, storage=self._storage)
            study = self._study(name)
            study.add_trials([self._frozen(run) for run in runs])
        self._studies[name] = study

    def ask(self, name: str, number: int, total: int, accept: Accept) -> Run | None:
        """The next trial, with what the sampler noted; None: nothing is left.

        Args:
            number: of trials that the study has.
            total: of trials that it will have.
            accept: the trial of a combination that may run and was not tried; None refuses it.
        """
        study = self._studies[name]
        study.sampler = sampler = Within(self._search, number, total, accept)
        try:
            asked = study.ask(fixed_distributions=self._space)
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
        self._studies[name].tell(number, values, state=_STATES[outcome.state])

    def _opened(self) -> RDBStorage:
        url = f"sqlite:///{self._path}"
        options = {"connect_args": {"timeout": _PATIENCE}}
        try:
            return RDBStorage(url, engine_kwargs=options)
        except (DatabaseError, RuntimeError) as error:  # another release's schema is a RuntimeError
            torn = type(getattr(error, "orig", None)) is sqlite3.DatabaseError
            if not torn and not isinstance(error, RuntimeError):
                raise
            self._path.unlink()
            return RDBStorage(url, engine_kwargs=options)

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


def _told_of(trial: Trial) -> dict[str, Any]:
    """What the dashboard shows beside the parameters."""
    return {"point": trial.slug, **trial.costs}
