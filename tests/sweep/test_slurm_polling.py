"""What is said of submissions, from the words of squeue and sacct. Unknown never means dead."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurmfake import DOWN, TAKES, Fake
from stubbed import Bench

from sweep.launchlog import new_uid
from sweep.schedulers.base import Ending, Liveness, Report, SchedulerUnreachableError, Submission
from sweep.schedulers.slurm import limits
from sweep.schedulers.slurm.batches import user_name
from sweep.schedulers.slurm.scheduler import SlurmScheduler

WAITING, RUNNING, GONE = Liveness.WAITING, Liveness.RUNNING, Liveness.GONE


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    limits.cluster.cache_clear()
    limits.policy.cache_clear()
    yield Fake(tmp_path / "slurm", monkeypatch)
    limits.cluster.cache_clear()
    limits.policy.cache_clear()


class Queued:
    """One submission that Slurm took, and what it is asked about it."""

    def __init__(self, bench: Bench, fake: Fake) -> None:
        self.fake = fake
        self.root = bench.root
        self.submission: Submission = bench.submission(bench.job("one"))
        made = SlurmScheduler(bench.root, code=bench.code)
        self.ids = made.submit([self.submission])
        (self.batch,) = bench.root.slurm.iterdir()
        self.tag = json.loads((self.batch / "batch.json").read_text())["tag"]

    def report(self, recorded: bool = True) -> Report:
        """What a new process is told; not recorded: its launcher knows no id."""
        if not recorded:
            (self.batch / "id").unlink(missing_ok=True)
        asked = self.ids if recorded else {self.submission.id: ""}
        scheduler = SlurmScheduler(self.root)
        return scheduler.poll(asked)[self.submission.id]

    def row(self, state: str, reason: str = "None", array: str = "101", name: str = "") -> str:
        return f"{array}|0|{state}|{reason}||lab|normal|{name or self.tag}"

    def record(self, state: str, code: str = "0:0", t: str = "2026-01-01T10:00:00") -> str:
        return f"101_0|{state}|{code}|{t}|{self.tag}"

    def shows(self, *rows: str) -> None:
        self.fake.queue(*rows)

    def accounts(self, *records: str) -> None:
        lines = "; ".join(f"echo '{record}'" for record in records)
        self.fake.plays("sacct", lines or "true")

    def edit(self, **fields: object) -> None:
        """As if the batch had been written so."""
        path = self.batch / "batch.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.fixture
def queued(bench: Bench, fake: Fake) -> Queued:
    return Queued(bench, fake)


@pytest.fixture
def orphan(bench: Bench, fake: Fake) -> Queued:
    """Its launcher, of this machine, died before it recorded what sbatch answered."""
    stamp, _, rest = new_uid().split("-", 2)
    bench.uid = f"{stamp}-999999999-{rest}"
    return Queued(bench, fake)


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
