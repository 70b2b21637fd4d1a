"""What an sbatch's outcome is taken for: a job that Slurm may have is never called refused."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from slurmfake import DOWN, TAKES, Fake
from stubbed import resources

from sweep.layout import Root
from sweep.schedulers.slurm.batches import Batch, Member, new_batch, read_batch, write_batch
from sweep.schedulers.slurm.sbatch import Outcome, Patience, Refused, Taken, Unsure, sbatch


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path / "slurm", monkeypatch)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return new_batch(Root(tmp_path / "odd näme 'q' $x"), ("tokenizer", "floor"), resources(), None,
                     {0: (Member("s0", ("job",)),)})  # fmt: skip


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def submit(batch: Batch, seconds: float = 30.0) -> tuple[Outcome, float]:
    """The outcome, and the seconds that were slept for it."""
    clock = Clock()
    text = f"#!/bin/bash\n#SBATCH --job-name={batch.tag}\n#SBATCH --array=0\n"
    patience = Patience(sbatch=seconds, clock=lambda: clock.now, sleep=clock.sleep)
    return sbatch(batch, write_batch(batch, text), patience), clock.now


def test_a_taken_array_is_recorded(fake: Fake, batch: Batch) -> None:
    assert submit(batch) == (Taken("101"), 0.0)
    again = read_batch(batch.folder)
    assert again == batch
    assert again is not None
    assert again.id() == "101"
    assert stat.S_IMODE((batch.folder / "script.sh").stat().st_mode) == 0o600


def test_the_batch_is_on_disk_before_sbatch_runs(fake: Fake, batch: Batch) -> None:
    fake.plays("sbatch", 'cp "$(dirname "$2")"/batch.json $DIR; echo 7')
    submit(batch)
    assert batch.tag in (fake.folder / "batch.json").read_text()


@pytest.mark.parametrize(
    "words",
    [
        "sbatch: error: Batch job submission failed: Invalid partition name specified",
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job "
        "submit limit, user's size and/or time limits)",
        "sbatch: error: Batch job submission failed: Invalid job array specification",
        "sbatch: unrecognized option '--blah'",
    ],
)
def test_slurms_no_is_a_no(fake: Fake, batch: Batch, words: str) -> None:
    fake.plays("sbatch", f"echo {words!r} >&2; exit 1")
    outcome, slept = submit(batch)
    assert isinstance(outcome, Refused)
    assert "\n" not in outcome.message
    assert words.rpartition(": ")[2][:20] in outcome.message
    assert slept == 0.0
    assert not fake.calls("squeue")


@pytest.mark.parametrize(
    ("reason", "full"),
    [
        ("QOSMaxSubmitJobPerUserLimit", True),
        ("QOSGrpSubmitJobsLimit", True),
        ("AssocMaxSubmitJobLimit", True),
        ("AssocGrpSubmitJobsLimit", True),
        ("QOSMaxWallDurationPerJobLimit", False),
        ("AssocMaxCpuPerJobLimit", False),
    ],
)
def test_a_full_queue_is_told_from_a_wrong_question(
    fake: Fake, batch: Batch, reason: str, full: bool
) -> None:
    """In the words of Slurm 22.05, whose last line is the same for both."""
    last = ("Batch job submission failed: Job violates accounting/QOS policy (job submit limit, "
            "user's size and/or time limits)")  # fmt: skip
    fake.plays("sbatch", f'echo "sbatch: error: {reason}\nsbatch: error: {last}" >&2; exit 1')
    outcome, _ = submit(batch)
    assert isinstance(outcome, Refused)
    assert outcome.full is full


def test_no_sbatch_at_all(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    outcome, _ = submit(batch)
    assert isinstance(outcome, Refused)
    assert "login node" in outcome.message


def test_an_sbatch_that_times_out_though_slurm_took_the_job(fake: Fake, batch: Batch) -> None:
    fake.plays("sbatch", TAKES + "exec sleep 600")
    assert submit(batch, seconds=1.0)[0] == Taken("101")
    assert batch.id() == "101"


def test_who_waits_for_sbatch_is_told(fake: Fake, batch: Batch) -> None:
    fake.plays("sbatch", "sleep 0.5; " + TAKES + "echo $n")
    said: list[str] = []
    script = write_batch(batch, f"#SBATCH --job-name={batch.tag}\n#SBATCH --array=0\n")
    assert sbatch(batch, script, Patience(quiet=0.1), said.append) == Taken("101")
    assert said == ["waiting for sbatch, 60 s at most"]


def test_an_sbatch_that_fails_after_slurm_took_the_job(fake: Fake, batch: Batch) -> None:
    """Also where squeue shows it only a moment later, or accounting alone knows it."""
    fake.plays("sbatch", TAKES + "echo 'Batch job submission failed: Socket timed out' >&2; exit 1")
    fake.plays("squeue", "n=$(grep -c ^squeue $DIR/calls); [ $n -ge 3 ] && cat $DIR/queue; true")
    outcome, slept = submit(batch)
    assert outcome == Taken("101")
    assert slept > 0
    fake.plays("squeue", "true")
    fake.plays("sacct", f"echo '55_0|COMPLETED|0:0|2026-01-01T00:00:00|{batch.tag}'")
    batch.folder.rename(batch.folder.with_name("before"))
    assert submit(batch)[0] == Taken("55")


def test_an_sbatch_that_ended_by_itself_and_left_nothing(fake: Fake, batch: Batch) -> None:
    fake.plays("sbatch", DOWN)
    outcome, slept = submit(batch)
    assert isinstance(outcome, Refused)
    assert slept >= 10
    assert len(fake.calls("squeue")) >= 2


@pytest.mark.parametrize("how", ["silent squeue", "killed sbatch", "slow sbatch"])
def test_what_cannot_be_known_is_not_guessed(fake: Fake, batch: Batch, how: str) -> None:
    """slurmctld may have heard it, or hear it yet."""
    bodies = {"silent squeue": DOWN, "killed sbatch": "kill -9 $$", "slow sbatch": "exec sleep 60"}
    fake.plays("sbatch", bodies[how])
    if how == "silent squeue":
        fake.plays("squeue", DOWN)
    outcome, slept = submit(batch, seconds=1.0)
    assert isinstance(outcome, Unsure)
    assert slept >= 60
    assert batch.id() is None


def test_nothing_of_an_enclosing_job_reaches_sbatch(
    fake: Fake, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the user's own defaults only what the script leaves open."""
    given: dict[str, Any] = {
        "SLURM_JOB_ID": "9", "SLURM_CPUS_PER_TASK": "9", "SBATCH_JOB_NAME": "mine",
        "SBATCH_ARRAY_INX": "0-9", "SBATCH_ACCOUNT": "lab", "SLURM_CONF": "/conf",
        "SBATCH_CLUSTERS": "far", "SLURM_CLUSTERS": "far", "SBATCH_EXPORT": "NONE",
        "VITOK_DB": "postgresql://me:s3cret@db/sweeps",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    fake.plays("sbatch", "env | grep -E '^(SLURM|SBATCH|VITOK_DB)' | sort > $DIR/env; echo 7")
    submit(batch)
    seen = (fake.folder / "env").read_text().split()
    assert seen == ["SBATCH_ACCOUNT=lab", "SLURM_CONF=/conf"]
