"""What is said of submissions, from what their launchers left on disk, or did not."""

from __future__ import annotations

import os
import time

import pytest
from slurmfake import DOWN, TAKES, Fake
from slurmqueued import GONE, RUNNING, WAITING, Queued
from stubbed import Bench

from sweep.launchlog import new_uid
from sweep.schedulers.base import Ending, Liveness, Report
from sweep.schedulers.slurm.scheduler import SlurmScheduler


def test_an_orphan_is_found_by_its_name(orphan: Queued) -> None:
    orphan.shows(orphan.row("RUNNING", array="77"))
    assert orphan.report(recorded=False) == Report(RUNNING, "77_0")
    orphan.shows()
    orphan.accounts(f"77_0|FAILED|1:0|2026-01-01T10:00:00|{orphan.tag}")
    report = orphan.report(recorded=False)
    assert (report.liveness, report.scheduler_id) == (GONE, "77_0")


@pytest.mark.parametrize(
    ("age", "accounting", "liveness"),
    [
        (10, True, WAITING),  # its sbatch may have outlived it
        (200, True, GONE),
        (200, False, GONE),  # squeue would still show it
        (1000, True, GONE),
        (1000, False, Liveness.UNKNOWN),  # it may have come and gone
    ],
)
def test_an_orphan_that_is_not_there(
    orphan: Queued, age: float, accounting: bool, liveness: Liveness
) -> None:
    orphan.shows()
    orphan.edit(t=time.time() - age)
    if not accounting:
        orphan.fake.plays("sacct", DOWN)
    assert orphan.report(recorded=False).liveness is liveness


def test_while_a_launcher_is_at_it_nothing_is_lost(queued: Queued) -> None:
    """This process made the submission; it has not heard from sbatch yet."""
    queued.shows()
    queued.edit(t=time.time() - 300)
    assert queued.report(recorded=False).liveness is WAITING


def test_one_foreign_claim_leaves_the_others_known(queued: Queued) -> None:
    queued.shows(queued.row("RUNNING"))
    reports = SlurmScheduler(queued.root).poll({**queued.ids, "theirs": "9_0"})
    assert reports[queued.submission.id].liveness is RUNNING
    assert reports["theirs"].liveness is Liveness.UNKNOWN
    assert "theirs" in reports["theirs"].reason


@pytest.mark.parametrize("damage", ["cut", "unreadable"])
def test_one_damaged_batch_leaves_the_others_known(
    bench: Bench, queued: Queued, damage: str
) -> None:
    """Which submissions it held cannot be said: each that is found nowhere may live in it."""
    path = queued.batch / "batch.json"
    whole = path.read_bytes()
    other = bench.submission(bench.job("two"))
    ids = SlurmScheduler(bench.root, code=bench.code).submit([other])
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[:50])
    else:
        path.mkdir()
    scheduler = SlurmScheduler(queued.root)
    for own in ("101_0", ""):
        reports = scheduler.poll({queued.submission.id: own, **ids})
        assert reports[other.id].liveness is WAITING
        report = reports[queued.submission.id]
        assert (report.liveness, str(path) in report.reason) == (Liveness.UNKNOWN, True)
    if damage == "cut":
        path.write_bytes(whole)  # mended while somebody watches
        report = scheduler.poll(queued.ids)[queued.submission.id]
        assert report.liveness is WAITING


def test_an_old_damage_does_not_concern_a_new_launch(bench: Bench, fake: Fake) -> None:
    old = bench.root.slurm / "old"
    old.mkdir(parents=True)
    (old / "batch.json").write_text("{")
    day = time.time() - 86_400
    os.utime(old, (day, day))
    stamp, _, rest = new_uid().split("-", 2)
    dead = f"{stamp}-999999999-{rest}.1"
    assert SlurmScheduler(bench.root).poll({dead: ""})[dead].liveness is GONE


def test_a_member_that_ended_is_gone_though_its_task_runs_on(queued: Queued) -> None:
    """Its task does not start it again."""
    (queued.batch / "ended").mkdir()
    (queued.batch / "ended" / queued.submission.id).touch()
    for state in ("RUNNING", "PENDING"):
        queued.shows(queued.row(state))
        report = queued.report()
        assert (report.liveness, report.ending) == (GONE, None)
    (queued.batch / "cancelled").mkdir()
    (queued.batch / "cancelled" / queued.submission.id).touch()
    assert queued.report().ending is Ending.CANCELLED


def test_who_looks_again_sees_what_is_new(bench: Bench, fake: Fake) -> None:
    """Batches of other launchers, ids that are written later, and tasks that live again."""
    watching = SlurmScheduler(bench.root)
    first, second = (bench.submission(bench.job(name)) for name in ("one", "two"))
    asked = {first.id: "", second.id: ""}
    launching = SlurmScheduler(bench.root, code=bench.code)
    launching.submit([first])
    (batch,) = bench.root.slurm.iterdir()
    (batch / "id").unlink()
    fake.queue()
    assert watching.poll(asked)[first.id] == Report(WAITING)  # this launcher is at it
    (batch / "id").write_text("101\n")
    assert watching.poll(asked)[first.id] == Report(GONE, "101_0")
    fake.plays("sbatch", TAKES + "echo $n")
    launching.submit([second])
    assert watching.poll(asked)[second.id] == Report(WAITING, "102_0", "waits: Priority")
