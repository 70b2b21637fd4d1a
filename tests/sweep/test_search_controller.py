"""The controller of a search, and its pruning, over jobs that never run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from journalled import Lab, line
from searches import SEARCH, text, trials_of

from sweep.decide import Decision
from sweep.launch import Launched
from sweep.launchlog import LaunchLog
from sweep.model import Plan
from sweep.reconcile import State
from sweep.schedulers.base import SchedulerUnreachableError
from sweep.search import records
from sweep.search.controller import Controller
from sweep.search.model import Pruner
from sweep.search.outcome import Outcome, Run, TrialState
from sweep.search.pruning import Pruning
from sweep.search.trials import Trial, Trials
from sweep.status import JobStatus
from sweep.tend import Tender


def test_an_outage_in_the_middle_of_a_search_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, asked, paused = Lab(tmp_path / "results"), [], []

    def launch(plan: Plan, whole: Plan, spared: frozenset[str]) -> Launched:
        asked.append(spared)
        if len(asked) < 4:
            raise SchedulerUnreachableError("slurm does not answer")
        return launch_of_nothing()

    trials, notes = trials_of(tmp_path, text()), list[str]()
    controller = Controller(trials, lab.root, lab.open(), launch, 1, pytest.fail, notes.append)
    monkeypatch.setattr("sweep.search.controller.time.sleep", paused.append)
    assert controller._ask()
    with pytest.raises(SchedulerUnreachableError):  # before anything runs, as of any launch
        controller._launched(frozenset())
    controller._tender = Tender(list, controller._again, pytest.fail, launch_of_nothing())
    assert controller._launched(frozenset("a")) == launch_of_nothing()
    assert (asked, len(paused)) == ([frozenset(), *[frozenset("a")] * 3], 2)
    assert notes[0].startswith("slurm does not answer; trying again")
    controller.close()


def test_what_a_search_is_after_is_written_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "results")

    def written(file: str) -> int:
        controller_of(trials_of(tmp_path, file), lab).close()
        return len(list(lab.root.launches.glob("*")))

    cfg = "[{maximize: rPSNR}, {minimize: gflops}]"
    assert [written(text()), written(text()), written(text(objectives=cfg))] == [1, 1, 2]
    assert written(text(objectives=cfg, trials="7")) == 3


def test_studies_take_turns(tmp_path: Path) -> None:
    axes = "axes:\n  tokenizer.patch: [8, 16]\n"
    file = text(SEARCH.replace("    tokenizer.patch: [8, 16, 32]\n", ""), parallel="5") + axes
    controller = controller_of(trials_of(tmp_path, file), Lab(tmp_path / "results"))
    studies = [run.trial.study[-1] for run in controller._ask()]
    assert studies == ["8", "6", "8", "6", "8"]
    controller.close()


def controller_of(trials: Trials, lab: Lab) -> Controller:
    def launch(plan: Plan, whole: Plan, spared: frozenset[str]) -> Launched:
        return launch_of_nothing()

    return Controller(trials, lab.root, lab.open(), launch, 1, print, print)


def launch_of_nothing() -> Launched:
    return Launched(Decision(), frozenset(), frozenset())


def test_trials_are_compared_within_their_study(tmp_path: Path) -> None:
    """Under axes each patch has its search: what is usual for p 16 is no reason to stop a p 8."""
    lab = Lab(tmp_path / "results")
    lossy = {"a": 1.0, "b": 2.0, "c": 3.0, "own": 9.0, "other": 9.0}
    for job, loss in lossy.items():
        ended = [] if job in ("own", "other") else [line("finished", 3.0)]
        lab.job(job)
        lab.write(
            job, 1, *(line("metric", step=n, name="loss", value=loss) for n in (1, 2)), *ended
        )
    runs = [
        Run(Trial("p8" if job == "other" else "p16", {}, (job,), (job,), job, {})) for job in lossy
    ]
    for run in runs[:3]:
        run.outcome = Outcome(TrialState.COMPLETE, (0.0,))
    jobs = [
        JobStatus(job, job, "tokenizer", State.RUNNING if n > 2 else State.DONE, 1, None, None, "")
        for n, job in enumerate(lossy)
    ]
    log = LaunchLog(lab.root)
    pruner = Pruner("loss", False, "median", 1)
    pruning = Pruning(pruner, lab.root, lab.synced(), log, "seek", pytest.fail)
    stopped = [run.trial.slug for run, _ in pruning.stop(runs, jobs)]
    log.close()
    assert stopped == ["own"]


@pytest.mark.parametrize("killed", [False, True])
def test_what_others_need_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """Of a stopped trial; also where a controller was killed between the word and the deed."""
    lab = Lab(tmp_path / "results")
    for job in ("own", "shared", "elsewhere"):
        lab.job(job)
    lab.sweep("seek", {"p": ["own", "shared", "elsewhere"]})
    lab.sweep("grid", {"q": ["elsewhere"]}, launch="v")
    stopped = Run(Trial("s", {}, ("p",), ("own", "shared", "elsewhere"), "", {}))
    runs = [stopped, Run(Trial("s", {}, ("r",), ("shared",), "", {}))]

    cancelled = cancels(monkeypatch)
    log = LaunchLog(lab.root)
    pruner = Pruner("loss", False, "median", 1)
    pruning = Pruning(pruner, lab.root, lab.synced(), log, "seek", pytest.fail)
    if killed:
        stopped.outcome = Outcome(TrialState.PRUNED)
        pruning.resume(runs)
    else:
        monkeypatch.setattr("sweep.search.pruning.verdict", lambda *curves: "hopeless")
        jobs = [*running(None, None, ("own",)), *running(None, None, ("shared", "elsewhere"))]
        jobs[0] = replace(jobs[0], kind="tokenizer")
        assert [run for run, _ in pruning.stop(runs, jobs)] == [stopped]
    log.close()
    assert cancelled == ["own"]


def running(store: object, root: object, jobs: Iterable[str]) -> list[JobStatus]:
    """As if all of them ran."""
    return [JobStatus(job, job, "", State.RUNNING, 1, None, None, "") for job in jobs]


def cancels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with the jobs that a pruning cancels, all of which seem to run."""
    found = list[str]()
    monkeypatch.setattr("sweep.search.pruning.job_statuses", running)
    monkeypatch.setattr(
        "sweep.search.pruning.stop", lambda facts, root: found.extend(f.id for f in facts)
    )
    return found


def test_a_new_controller_cancels_what_a_killed_one_had_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, cancelled = Lab(tmp_path / "results"), cancels(monkeypatch)
    trials = trials_of(tmp_path, text(pruner="{minimize: loss}"))
    killed = controller_of(trials, lab)
    (run,) = killed._ask()
    records.write_pruned(killed._log, killed.sweep, run.trial, "hopeless")
    killed.close()
    for job in run.trial.jobs:
        lab.job(job)
    again = controller_of(trials, lab)
    again.close()
    assert [each.outcome for each in again.runs] == [Outcome(TrialState.PRUNED, why="hopeless")]
    assert sorted(cancelled) == sorted(run.trial.jobs)
