"""What is said of submissions, from the words of squeue and sacct. Unknown never means dead."""

from __future__ import annotations

import json

import pytest
from slurmfake import DOWN, Fake
from slurmqueued import GONE, RUNNING, WAITING, Queued
from stubbed import Bench

from sweep.schedulers.base import Ending, Liveness, Report, SchedulerUnreachableError
from sweep.schedulers.slurm.scheduler import SlurmScheduler


@pytest.mark.parametrize(
    ("state", "reason", "report"),
    [
        ("PENDING", "Resources", Report(WAITING, "101_0", "waits: Resources")),
        ("PENDING", "None", Report(WAITING, "101_0")),
        ("REQUEUED", "BeginTime", Report(WAITING, "101_0", "waits: BeginTime")),
        ("PENDING", "DependencyNeverSatisfied",
         Report(WAITING, "101_0", "waits: DependencyNeverSatisfied", stuck=True)),
        ("RUNNING", "None", Report(RUNNING, "101_0")),
        ("COMPLETING", "None", Report(RUNNING, "101_0")),
        ("SUSPENDED", "None", Report(RUNNING, "101_0")),
        ("COMPLETED", "None", Report(GONE, "101_0", "COMPLETED", Ending.COMPLETED)),
        ("FAILED", "NonZeroExitCode",
         Report(GONE, "101_0", "FAILED: NonZeroExitCode", Ending.FAILED)),
        ("OUT_OF_MEMORY", "OutOfMemory",
         Report(GONE, "101_0", "OUT_OF_MEMORY: OutOfMemory", Ending.OUT_OF_MEMORY)),
        ("TIMEOUT", "TimeLimit", Report(GONE, "101_0", "TIMEOUT: TimeLimit", Ending.TIMEOUT)),
        ("NODE_FAIL", "None", Report(GONE, "101_0", "NODE_FAIL", Ending.NODE_FAILURE)),
        ("PREEMPTED", "None", Report(GONE, "101_0", "PREEMPTED", Ending.PREEMPTED)),
        ("CANCELLED", "None", Report(GONE, "101_0", "CANCELLED", Ending.CANCELLED)),
    ],
)  # fmt: skip
def test_squeue_has_the_word(queued: Queued, state: str, reason: str, report: Report) -> None:
    queued.shows(queued.row(state, reason))
    assert queued.report() == report
    assert not queued.fake.calls("sacct")


@pytest.mark.parametrize("reason", ["JobHeldUser", "JobHeldAdmin"])
def test_a_held_one_says_by_whom(queued: Queued, reason: str) -> None:
    queued.shows(queued.row("PENDING", reason))
    assert queued.report().liveness is WAITING
    assert "held by" in queued.report().reason


def test_an_id_that_came_round_again_is_another_job(queued: Queued) -> None:
    queued.shows(queued.row("RUNNING", name="another"))
    queued.accounts(f"101_0|RUNNING|0:0|2026-01-01T10:00:00|{'another'}")
    assert queued.report() == Report(GONE, "101_0")


@pytest.mark.parametrize(
    ("state", "code", "ending"),
    [
        ("COMPLETED", "0:0", Ending.COMPLETED),
        ("CANCELLED by 1000", "0:0", Ending.CANCELLED),
        ("OUT_OF_MEMORY", "0:125", Ending.OUT_OF_MEMORY),
        ("NODE_FAIL", "1:0", Ending.NODE_FAILURE),
        ("RUNNING", "0:0", None),  # accounting lags
    ],
)
def test_what_squeue_has_forgotten_accounting_knows(
    queued: Queued, state: str, code: str, ending: Ending | None
) -> None:
    queued.shows()
    queued.accounts(queued.record(state, code))
    report = queued.report()
    assert (report.liveness, report.ending) == (GONE, ending)
    assert (code in report.reason) == (code != "0:0")


def test_of_a_requeued_task_the_last_run_counts(queued: Queued) -> None:
    queued.shows()
    runs = [queued.record("COMPLETED", t="2026-01-01T12:00:00"), queued.record("NODE_FAIL")]
    for records in (runs, runs[::-1]):
        queued.accounts(*records)
        assert queued.report().ending is Ending.COMPLETED


def test_without_accounting_the_queue_is_enough(queued: Queued) -> None:
    queued.shows()
    queued.fake.plays("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert queued.report() == Report(GONE, "101_0")


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED by 0", "TIMEOUT"])
def test_while_the_controller_is_down_what_is_over_is_over(queued: Queued, state: str) -> None:
    queued.fake.plays("squeue", DOWN)
    queued.accounts(queued.record(state))
    assert queued.report().liveness is GONE


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "NODE_FAIL", "PREEMPTED", "REQUEUED"])
def test_while_the_controller_is_down_all_else_is_unknown(queued: Queued, state: str) -> None:
    queued.fake.plays("squeue", DOWN)
    queued.accounts(queued.record(state))
    assert queued.report().liveness is Liveness.UNKNOWN


def test_a_silence_of_squeue_is_told_from_a_lasting_doubt(queued: Queued) -> None:
    """A later look may know; of another's job it will not."""
    queued.fake.plays("squeue", DOWN)
    queued.accounts(queued.record("RUNNING"))
    assert queued.report().silent
    queued.fake.plays("squeue", "true")
    queued.accounts()
    queued.edit(user="somebody")
    report = queued.report()
    assert (report.liveness, report.silent) == (Liveness.UNKNOWN, False)


def test_where_nobody_answers_nothing_is_said(queued: Queued) -> None:
    queued.fake.plays("squeue", DOWN)
    queued.fake.plays("sacct", DOWN)
    with pytest.raises(SchedulerUnreachableError, match="scontrol ping") as error:
        queued.report()
    assert error.value.exit_code == 5


def test_anothers_jobs_may_be_hidden_from_us(queued: Queued) -> None:
    queued.shows()
    queued.edit(user="somebody")
    assert queued.report().liveness is Liveness.UNKNOWN
    assert "somebody" in queued.fake.calls("squeue")[-1]
    queued.accounts(queued.record("COMPLETED"))
    assert queued.report().liveness is GONE


def test_grandchildren_of_a_failure_wait_in_vain_too(bench: Bench, fake: Fake) -> None:
    """Slurm says so of the children alone."""
    first = bench.job("first")
    child = bench.job("child", first, kind="reconstruct")
    last = bench.job("last", child, kind="reconstruct")
    other = bench.job("other", first, kind="reconstruct")
    submissions = [bench.submission(first), bench.submission(child, after=(first,)),
                   bench.submission(last, after=(child,)),
                   bench.submission(other, after=(first,))]  # fmt: skip
    scheduler = SlurmScheduler(bench.root, code=bench.code)
    ids = scheduler.submit(submissions)
    array = {id: own.partition("_")[0] for id, own in ids.items()}
    rows = [line.split("|") for line in (fake.folder / "queue").read_text().splitlines()]
    says = {
        array[submissions[0].id]: ("FAILED", "NonZeroExitCode", ""),
        array[submissions[1].id]: (
            "PENDING", "DependencyNeverSatisfied", "aftercorr:101_*(failed)"
        ),
        array[submissions[2].id]: (
            "PENDING", "Dependency", f"aftercorr:{array[submissions[1].id]}_*(unfulfilled)"
        ),
        array[submissions[3].id]: ("PENDING", "Dependency", "afterok:999_0(unfulfilled)"),
    }  # fmt: skip
    fake.queue(*("|".join([a, i, *says[a], "lab", "normal", rest[-1]]) for a, i, *rest in rows))
    reports = scheduler.poll(ids)
    assert [reports[each.id].stuck for each in submissions] == [False, True, True, False]


@pytest.mark.parametrize(
    ("number", "ending"),
    [("101", Ending.CANCELLED), ("101_[0-60:2]", Ending.CANCELLED), ("101_[0-6,9%2]", None),
     ("101_[0-60:7]", None)],
)  # fmt: skip
def test_of_tasks_that_never_began_accounting_keeps_one_record(
    bench: Bench, fake: Fake, number: str, ending: Ending | None
) -> None:
    """As Slurm 22.05 writes it where a whole array was cancelled."""
    submissions = [bench.submission(bench.job(f"job{number}")) for number in range(11)]
    ids = SlurmScheduler(bench.root, code=bench.code).submit(submissions)
    (batch,) = bench.root.slurm.iterdir()
    tag = json.loads((batch / "batch.json").read_text())["tag"]
    fake.queue()
    fake.plays("sacct", f"echo '{number}|CANCELLED by 0|0:0|2026-01-01T10:00:00|{tag}'")
    report = SlurmScheduler(bench.root).poll({submissions[10].id: ids[submissions[10].id]})
    assert report[submissions[10].id].ending is ending
