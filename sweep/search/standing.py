"""How a search stands, from the index alone: what `status` says. Meets no Optuna."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.reconcile import State
from sweep.search import records
from sweep.search.model import Objective
from sweep.search.outcome import Outcome, Score, TrialState, best, values
from sweep.search.trials import Trial
from sweep.status import ACTIVE
from sweep.store import Store, queries

_WAITING = (*ACTIVE, State.PLANNED)
_MOST = 8  # of a Pareto front, in words


@dataclass(frozen=True)
class Standing:
    """One study of a search.

    Args:
        budget: trials that it is to have.
        best: the trials that no other beats, with their values.
    """

    study: str
    objectives: tuple[Objective, ...]
    budget: int
    counts: Mapping[TrialState, int]
    best: tuple[tuple[Trial, tuple[float, ...]], ...]

    def as_json(self) -> dict[str, Any]:
        """For `status --json`."""
        names = [str(each) for each in self.objectives]
        return {
            "study": self.study,
            "trials": self.budget,
            "counts": {str(state): self.counts.get(state, 0) for state in TrialState},
            "best": [
                {
                    "point": trial.slug,
                    "params": dict(trial.params),
                    "values": dict(zip(names, got, strict=True)),
                }
                for trial, got in self.best
            ],
        }

    def lines(self) -> list[str]:
        """In words: the counts, then the best trial, or the Pareto front."""
        counts = ", ".join(f"{n} {state}" for state, n in self.counts.items() if n)
        asked = sum(self.counts.values())
        found = [f"{self.study}: {asked} of {self.budget} trials: {counts or 'none yet'}"]
        front = len(self.objectives) > 1
        if front and self.best:
            found.append(f"  {len(self.best)} on the Pareto front:")
        for trial, got in self.best[:_MOST]:
            pairs = zip(self.objectives, got, strict=True)
            said = ", ".join(f"{objective} {value:.5g}" for objective, value in pairs)
            found.append(f"  {'' if front else 'best so far: '}{said} ({trial.words})")
        if len(self.best) > _MOST:
            found.append(f"  ... {len(self.best) - _MOST} more; --json prints all")
        return found


def standings(store: Store, sweep: str | None, states: Mapping[str, State]) -> list[Standing]:
    """The studies of one sweep, or of all; none of those that are no searches.

    Args:
        states: of their jobs, by id.
    """
    found = []
    for name, goal in records.read_goals(store).items():
        document = queries.sweep_document(store, name) if sweep in (None, name) else None
        if document and "search" in document:  # the file may have become a grid since
            found += _studies(store, name, goal, states)
    return found


def _studies(
    store: Store, sweep: str, goal: records.Goal, states: Mapping[str, State]
) -> list[Standing]:
    members = records.members(store, sweep)
    known = [
        each for each in records.read_trials(store, sweep) if members.issuperset(each.trial.points)
    ]
    scores = records.scores(store, [job for each in known for job in each.trial.jobs])
    found = []
    for study, budget in goal.budgets.items():
        trials = [each for each in known if each.trial.study == study]
        ended = {
            n: _outcome(each, goal.objectives, scores, states) for n, each in enumerate(trials)
        }
        tally = Counter(each.state for each in ended.values())
        front = best(ended, goal.objectives)
        found.append(
            Standing(
                study=study,
                objectives=goal.objectives,
                budget=budget,
                counts={state: tally[state] for state in TrialState},
                best=tuple((trials[n].trial, ended[n].values) for n in front),
            )
        )
    return found


def _outcome(
    one: records.Recorded,
    objectives: Sequence[Objective],
    scores: Sequence[Score],
    states: Mapping[str, State],
) -> Outcome:
    if one.pruned:
        return Outcome(TrialState.PRUNED, why=one.pruned)
    if any(states.get(job, State.PLANNED) in _WAITING for job in one.trial.jobs):
        return Outcome(TrialState.RUNNING)
    own = set(one.trial.jobs)
    got = values(one.trial, objectives, [score for score in scores if score.job in own])
    return Outcome(TrialState.FAILED) if isinstance(got, str) else Outcome(TrialState.COMPLETE, got)
