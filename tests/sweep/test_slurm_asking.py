"""What squeue and sacct are asked, and how often."""

from __future__ import annotations

import time

import pytest
from slurmfake import Fake
from slurmqueued import GONE, WAITING, Queued
from stubbed import Bench

from sweep.launchlog import new_uid
from sweep.schedulers.base import Ending, Report
from sweep.schedulers.slurm.batches import user_name
from sweep.schedulers.slurm.scheduler import SlurmScheduler


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def watching(queued: Queued) -> tuple[SlurmScheduler, Clock]:
    """A scheduler that is kept between looks."""
    scheduler, clock = SlurmScheduler(queued.root), Clock()
    scheduler._accounting.clock = clock
    return scheduler, clock


def test_accounting_is_not_asked_the_same_at_each_look(queued: Queued) -> None:
    scheduler, clock = watching(queued)
    queued.shows()
    queued.accounts()
    for _ in range(3):
        assert scheduler.poll(queued.ids)[queued.submission.id] == Report(GONE, "101_0")
    assert len(queued.fake.calls("sacct")) == 1
    clock.now += 31
    queued.accounts(queued.record("OUT_OF_MEMORY"))  # it lagged
    for _ in range(3):
        report = scheduler.poll(queued.ids)[queued.submission.id]
        assert report.ending is Ending.OUT_OF_MEMORY
        clock.now += 31
    assert len(queued.fake.calls("sacct")) == 2


def test_an_ending_is_of_one_run(queued: Queued) -> None:
    """An admin requeues what has failed: the next ending is asked for anew."""
    scheduler, _ = watching(queued)
    looks = []
    for state in ("FAILED", "COMPLETED"):
        queued.shows(queued.row("RUNNING"))
        scheduler.poll(queued.ids)
        queued.shows()
        queued.accounts(queued.record(state))
        looks.append(scheduler.poll(queued.ids)[queued.submission.id].ending)
    assert looks == [Ending.FAILED, Ending.COMPLETED]


def test_while_an_sbatch_may_be_on_its_way_each_look_asks(orphan: Queued) -> None:
    """An answer from before it arrived must not be what it is given up by."""
    scheduler, _ = watching(orphan)
    orphan.shows()
    orphan.accounts()
    orphan.edit(t=time.time() - 60)
    asked = {orphan.submission.id: ""}
    (orphan.batch / "id").unlink()
    for looks in (1, 2):
        assert scheduler.poll(asked)[orphan.submission.id].liveness is WAITING
        assert len(orphan.fake.calls("sacct")) == looks


def test_accounting_is_asked_about_what_is_open_alone(bench: Bench, queued: Queued) -> None:
    """Neither about tasks whose ending is known, nor from when those were submitted."""
    queued.edit(t=time.time() - 30 * 86_400)
    scheduler, _ = watching(queued)
    queued.shows()
    queued.accounts(queued.record("COMPLETED"))
    scheduler.poll(queued.ids)
    other = bench.submission(bench.job("two"))
    ids = SlurmScheduler(bench.root, code=bench.code).submit([other])
    queued.shows()
    scheduler.poll({**queued.ids, **ids})
    first, second = queued.fake.calls("sacct")
    assert queued.tag in first
    assert queued.tag not in second
    assert second.split("-S ")[1][:10] >= time.strftime(
        "%Y-%m-%d", time.localtime(time.time() - 7200)
    )


def test_the_users_own_defaults_do_not_change_the_questions(
    queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("SQUEUE_USERS", "SACCT_FEDERATION", "SCANCEL_ACCOUNT", "SLURM_CLUSTERS",
             "SBATCH_CLUSTERS", "SLURM_TIME_FORMAT")  # fmt: skip
    for name in names:
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("SLURM_CONF", "/conf")
    queued.shows()
    for command in ("squeue", "sacct", "scancel"):
        queued.fake.plays(command, f"env > $DIR/env.{command}; cat $DIR/queue 2>/dev/null; true")
    queued.report()
    queued.shows(queued.row("RUNNING"))
    SlurmScheduler(queued.root).cancel(queued.ids)
    for command in ("squeue", "sacct", "scancel"):
        seen = (queued.fake.folder / f"env.{command}").read_text()
        assert "=theirs" not in seen
        assert "SLURM_CONF=/conf" in seen


def test_ten_thousand_cost_one_squeue_and_one_sacct(bench: Bench, fake: Fake) -> None:
    jobs = [bench.job(f"job{number}") for number in range(20)]
    submissions = [bench.submission(job, threads=1 + number % 4) for number, job in enumerate(jobs)]
    ids = SlurmScheduler(bench.root, code=bench.code).submit(submissions)
    assert len(list(bench.root.slurm.iterdir())) == 4
    before = len(fake.calls("squeue"))
    (fake.folder / "queue").write_text("")
    reports = SlurmScheduler(bench.root).poll({**ids, f"{new_uid()}.1": ""})
    assert len(reports) == 21
    assert len(fake.calls("squeue")) - before == 1
    assert len(fake.calls("sacct")) == 1
    assert f"-u {user_name()}" in fake.calls("squeue")[-1]
