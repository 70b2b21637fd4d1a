"""The one process that chooses trials: it asks a sampler, launches, looks, and tells what came.

It can be killed at any moment. What it has chosen is in the journal before a job of it is launched,
what came of it in the jobs' own journals; the next controller reads both and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from sweep.launch import Launched, current
from sweep.launchlog import LaunchLog
from sweep.layout import Root
from sweep.model import Plan
from sweep.reconcile import State
from sweep.schedulers.base import SchedulerUnreachableError
from sweep.search import records
from sweep.search.model import Params
from sweep.search.outcome import RUNNING, Outcome, Run, Score, TrialState, diverged, values
from sweep.search.pruning import Pruning
from sweep.search.records import Goal, Recorded
from sweep.search.studyfile import StudyFile
from sweep.search.trials import Study, Trial, Trials
from sweep.status import JobStatus, job_statuses
from sweep.store import Store, sync
from sweep.tend import Tender
from vitok_core.errors import UserError

_OUTAGE = 15.0  # seconds before a scheduler that does not answer is asked again

Say = Callable[[str], None]
Launch = Callable[[Plan, Plan, frozenset[str]], Launched]  # of what runs, of all, sparing these


class Controller:
    """A search that goes on, for `sweep.watch`: each call looks, tells, asks and launches.

    Args:
        launch: hands over what of a plan is to be done, and registers all trials as the sweep's.
        tries: submissions of one job, as `Tender` has them.
        note: told which schedulers do not answer.
    """

    def __init__(
        self,
        trials: Trials,
        root: Root,
        store: Store,
        launch: Launch,
        tries: int,
        say: Say,
        note: Say,
    ) -> None:
        self.trials, self.search, self.sweep = trials, trials.search, trials.spec.name
        self._root, self._store, self._launch = root, store, launch
        self._tries, self._say, self._note = tries, say, note
        self._log = LaunchLog(root)
        self._file = StudyFile(root, self.sweep, self.search)
        self._budgets = {study.name: self._budget(study) for study in trials.studies}
        self._tender: Tender | None = None
        self._pruning: Pruning | None = None
        if self.search.pruner is not None:
            self._pruning = Pruning(self.search.pruner, root, store, self._log, self.sweep, say)
        self.runs = self._resumed()
        if self._pruning is not None:
            self._pruning.resume(self.runs)
        self.idle = not self.open and self._next() is None
        if self.idle and self.runs:
            self._register()

    @property
    def open(self) -> list[Run]:
        """The trials that run or wait."""
        return [run for run in self.runs if run.outcome.state is TrialState.RUNNING]

    def __call__(self) -> list[JobStatus]:
        """One look, and all that it leads to."""
        if self._tender is None:
            self._hand_over(self._ask(), self.open)
        while True:
            jobs = self._tender() if self._tender is not None else []
            self._settle(jobs)
            self._prune(jobs)
            asked = self._ask()
            if not asked:
                return jobs
            self._hand_over(asked, asked)

    def is_over(self, jobs: Sequence[JobStatus]) -> bool:
        """Whether every trial has ended and none is left to ask for."""
        return not self.open and self._next() is None

    def close(self) -> None:
        """End its journal."""
        self._log.close()

    def _budget(self, study: Study) -> int:
        size, asked = self.trials.size(study), self.search.trials
        if size == 0:
            self._say(f"{study.name}: nothing of the space may run: excluded, or not within bounds")
        known = [each for each in (size, asked) if each is not None]
        return min(known)

    def _resumed(self) -> list[Run]:
        """The trials that earlier controllers chose, as far as the file still means them."""
        sync(self._store, self._root)
        studies = {study.name: study for study in self.trials.studies}
        known = records.read_trials(self._store, self.sweep)
        kept = [each for each in known if self._meant(each.trial, studies)]
        if len(kept) < len(known):
            left = len(known) - len(kept)
            self._say(f"{left} trials of other versions of the file are left out; their jobs stay")
        ended = self._ended(kept)
        runs = [
            Run(each.trial, dict(each.attrs), end) for each, end in zip(kept, ended, strict=True)
        ]
        self._file.fit({n: [run for run in runs if run.trial.study == n] for n in studies})
        goal = Goal(self.search.objectives, self._budgets)
        if records.read_goals(self._store).get(self.sweep) != goal:
            records.write_goal(self._log, self.sweep, goal)
        return runs

    def _meant(self, trial: Trial, studies: dict[str, Study]) -> bool:
        study = studies.get(trial.study)
        try:
            now = None if study is None else self.trials.trial(study, trial.params)
        except KeyError:  # the space has another field now
            return False
        return now is not None and now.jobs == trial.jobs

    def _ended(self, kept: Sequence[Recorded]) -> list[Outcome]:
        """How earlier trials stand: what `launch` would take up runs on."""
        if not kept:
            return []
        plan = self.trials.plan([each.trial for each in kept])
        decision = current(plan, self._root, self._store)
        going = {job.id for job in (*decision.submit, *decision.active)}
        reasons = {
            job.id: f"{state.state}: {state.reason}"
            for job in decision.left
            if (state := decision.states.get(job.id)) is not None
        }
        registered = records.members(self._store, self.sweep)
        jobs = [job for each in kept for job in each.trial.jobs]
        scores = records.scores(self._store, jobs)
        found, unscored = [], []
        for each in kept:
            own = set(each.trial.jobs)
            if each.pruned:
                found.append(Outcome(TrialState.PRUNED, why=each.pruned))
            elif own & going or not registered.issuperset(each.trial.points):
                found.append(RUNNING)
            else:
                why = next((reasons[job] for job in each.trial.jobs if job in reasons), "")
                scored = [score for score in scores if score.job in own]
                found.append(self._outcome(each.trial, scored, why))
                if self._is_unscored(found[-1], scored, why):
                    unscored.append(f"{each.trial.words}: {found[-1].why}")
        if unscored and all(each.state is not TrialState.COMPLETE for each in found):
            raise UserError(unscored[0])
        return found

    def _is_unscored(self, outcome: Outcome, scores: Sequence[Score], trouble: str) -> bool:
        """Whether all of its jobs are done, and an objective's metric is not among the results."""
        failed = outcome.state is TrialState.FAILED and not trouble
        return failed and not diverged(self.search.objectives, scores)

    def _outcome(self, trial: Trial, scores: Sequence[Score], trouble: str) -> Outcome:
        got = values(trial, self.search.objectives, scores)
        if isinstance(got, str):
            return Outcome(TrialState.FAILED, why=trouble or got)
        return Outcome(TrialState.COMPLETE, got)

    def _next(self) -> Study | None:
        """The study with the fewest trials of those that are to have more."""
        counts = dict.fromkeys(self._budgets, 0)
        for run in self.runs:
            counts[run.trial.study] += 1
        wanting = [
            each for each in self.trials.studies if counts[each.name] < self._budgets[each.name]
        ]
        return min(wanting, key=lambda each: counts[each.name], default=None)

    def _ask(self) -> list[Run]:
        """New trials, as many as may run beside the others."""
        asked: list[Run] = []
        while len(self.open) < self.search.parallel:
            study = self._next()
            if study is None:
                break
            before = [run for run in self.runs if run.trial.study == study.name]
            tried = {run.trial.jobs for run in before}

            def accept(
                params: Params, study: Study = study, tried: Collection[tuple[str, ...]] = tried
            ) -> Trial | None:
                trial = self.trials.trial(study, params)
                return None if trial is None or trial.jobs in tried else trial

            run = self._file.ask(study.name, len(before), self._budgets[study.name], accept)
            if run is None:
                self._say(f"{study.name}: nothing is left to try after {len(before)} trials")
                self._budgets[study.name] = len(before)
                continue
            records.write_trial(self._log, self.sweep, run.trial, run.attrs)
            self.runs.append(run)
            asked.append(run)
        return asked

    def _hand_over(self, asked: Sequence[Run], going: Sequence[Run]) -> None:
        """Launch trials; what others of this search run is left to their tender."""
        if not going:
            return
        for run in asked:
            self._say(f"trial {self._number(run)}: {run.trial.words}")
        own = {job for run in going for job in run.trial.jobs}
        spared = {job for run in self.runs for job in run.trial.jobs} - own
        launched = self._launched(frozenset(spared))
        if launched.error is not None and not launched.error.full:
            raise launched.error
        if self._tender is None:
            self._tender = Tender(self._look, self._again, self._say, launched, self._tries)
        else:
            self._tender.note(launched)

    def _launched(self, spared: frozenset[str]) -> Launched:
        """Launch; a scheduler that answered before is asked until it does so again."""
        while True:
            try:
                return self._again(spared)
            except SchedulerUnreachableError as error:
                if self._tender is None:
                    raise
                self._note(f"{error}; trying again every {_OUTAGE:.0f} s")
                time.sleep(_OUTAGE)

    def _again(self, spared: frozenset[str]) -> Launched:
        whole = self.trials.plan([run.trial for run in self.runs])
        return self._launch(self.trials.plan([run.trial for run in self.open]), whole, spared)

    def _register(self) -> None:
        """Where nothing is launched any more: the file may mean fewer trials than it did."""
        whole = self.trials.plan([run.trial for run in self.runs])
        self._launch(whole, whole, frozenset(job.id for job in whole.jobs))

    def _look(self) -> list[JobStatus]:
        sync(self._store, self._root)
        watched = (run for run in self.runs if run.outcome.state is not TrialState.PRUNED)
        jobs = dict.fromkeys(job for run in watched for job in run.trial.jobs)
        return job_statuses(self._store, self._root, jobs, self._note)

    def _settle(self, jobs: Sequence[JobStatus]) -> None:
        """Tell the study of every trial that has ended."""
        by_id = {job.id: job for job in jobs}
        for run in self.open:
            own = [by_id[job] for job in run.trial.jobs if job in by_id]
            assert self._tender is not None
            if not self._tender.is_over(own):
                continue
            trouble = [job for job in own if job.state is not State.DONE]
            why = f"{trouble[0].state}: {trouble[0].slug}: {trouble[0].reason}" if trouble else ""
            scores = records.scores(self._store, run.trial.jobs)
            self._tell(run, self._outcome(run.trial, scores, why))
            done = any(each.outcome.state is TrialState.COMPLETE for each in self.runs)
            if not done and self._is_unscored(run.outcome, scores, why):
                raise UserError(f"trial {self._number(run)}: {run.outcome.why}")

    def _prune(self, jobs: Sequence[JobStatus]) -> None:
        if self._pruning is None:
            return
        for run, why in self._pruning.stop(self.runs, jobs):
            self._tell(run, Outcome(TrialState.PRUNED, why=why))

    def _tell(self, run: Run, outcome: Outcome) -> None:
        run.outcome = outcome
        before = [each for each in self.runs if each.trial.study == run.trial.study]
        self._file.tell(run.trial.study, before.index(run), outcome)
        said = outcome.why.partition("\n")[0]
        if outcome.state is TrialState.COMPLETE:
            pairs = zip(self.search.objectives, outcome.values, strict=True)
            said = ", ".join(f"{objective} {value:.5g}" for objective, value in pairs)
        self._say(f"trial {self._number(run)}: {outcome.state}: {said}")

    def _number(self, run: Run) -> str:
        """`3 of 20`, with the study's name where there are several."""
        name = run.trial.study
        of_study = [each for each in self.runs if each.trial.study == name]
        which = next(n for n, each in enumerate(of_study, 1) if each is run)
        where = (
            f" of {name.removeprefix(self.sweep).lstrip(': ')}" if len(self._budgets) > 1 else ""
        )
        return f"{which} of {self._budgets[name]}{where}"
