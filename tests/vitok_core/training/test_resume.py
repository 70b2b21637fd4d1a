"""Killed and resumed must mean bit-identical, whatever the moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from recording import RecordingContext

from vitok_core.config import TokenizerJob
from vitok_core.context import Machine
from vitok_core.errors import Stopped
from vitok_core.training.checkpoint import weights_hash
from vitok_core.training.loop import THROUGHPUT
from vitok_core.training.tokenizer import train_tokenizer
from vitok_core.training.trained import load_model

MakeJob = Callable[..., TokenizerJob]

CHILD = """
import sys
from pathlib import Path
from recording import RecordingContext
from vitok_core.config import TokenizerJob
from vitok_core.context import Machine
from vitok_core.training.tokenizer import train_tokenizer

folder, attempt, job = sys.argv[1:]
context = RecordingContext(Path(folder), int(attempt), Machine(checkpoint_every=2))
train_tokenizer(TokenizerJob.model_validate_json(job), context)
"""


def weights(folder: Path) -> str:
    return weights_hash(load_model(folder).state_dict())


def deterministic(context: RecordingContext) -> list[tuple[str, float, int]]:
    return [row for row in context.metrics if row[0] != THROUGHPUT]


@pytest.fixture
def undisturbed(make_job: MakeJob, tmp_path: Path) -> RecordingContext:
    context = RecordingContext(tmp_path / "undisturbed")
    train_tokenizer(make_job(), context)
    return context


@pytest.mark.parametrize("stops", [(1,), (11,), (0, 4, 5), (3, 9)])
def test_stopped_and_resumed_is_bit_identical(
    make_job: MakeJob, tmp_path: Path, undisturbed: RecordingContext, stops: tuple[int, ...]
) -> None:
    folder, rows = tmp_path / "stopped", []
    for attempt, stop in enumerate((*stops, None), start=1):
        context = RecordingContext(
            folder, attempt, stop=lambda step, at=stop: "preempted" if step == at else None
        )
        if stop is None:
            train_tokenizer(make_job(), context)
        else:
            with pytest.raises(Stopped) as stopped:
                train_tokenizer(make_job(), context)
            assert stopped.value.step == stop
            assert context.saved[-1][1] == stop
        if attempt > 1:
            assert [step for step, _ in context.resumes] == [stops[attempt - 2]]
        rows += deterministic(context)
    assert weights(folder) == weights(undisturbed.folder)
    assert rows == deterministic(undisturbed)


def test_a_torn_checkpoint_costs_steps_but_no_bits(
    make_job: MakeJob, tmp_path: Path, undisturbed: RecordingContext
) -> None:
    folder = tmp_path / "torn"
    first = RecordingContext(
        folder, machine=Machine(checkpoint_every=3),
        stop=lambda step: "time" if step == 8 else None,
    )  # fmt: skip
    with pytest.raises(Stopped):
        train_tokenizer(make_job(), first)
    names = [path.name for path in sorted(first.checkpoints.iterdir())]
    assert names == ["step-000000006.pt", "step-000000008.pt"]
    with (first.checkpoints / names[1]).open("r+b") as file:
        file.truncate(2000)
    second = RecordingContext(folder, 2)
    train_tokenizer(make_job(), second)
    assert second.resumes == [(6, first.checkpoints / names[0])]
    assert weights(folder) == weights(undisturbed.folder)


def test_a_checkpoint_of_another_configuration_is_not_resumed(
    make_job: MakeJob, tmp_path: Path
) -> None:
    folder = tmp_path / "job"
    train_tokenizer(make_job(train={"steps": 2}), RecordingContext(folder))
    other = RecordingContext(folder, 2)
    train_tokenizer(make_job(train={"steps": 3}), other)
    assert other.resumes == []


def test_a_run_killed_after_its_last_step_only_writes_the_end_again(
    make_job: MakeJob, undisturbed: RecordingContext
) -> None:
    again = RecordingContext(undisturbed.folder, 2)
    train_tokenizer(make_job(), again)
    assert [step for step, _ in again.resumes] == [12]
    assert again.metrics == []
    finals = [RecordingContext(undisturbed.folder, n).checkpoints / "final.pt" for n in (1, 2)]
    assert weights(finals[0]) == weights(finals[1])


def test_kill_minus_nine_at_any_moment(make_job: MakeJob, tmp_path: Path) -> None:
    """The last attempt is a Python of its own, which shares nothing with this one."""
    # With a checkpoint at every other step a kill falls as often into a write as into a step.
    job = make_job(train={"steps": 40})
    straight, killed = tmp_path / "straight", tmp_path / "killed"

    def train(attempt: int) -> None:
        train_tokenizer(job, RecordingContext(killed, attempt, Machine(checkpoint_every=2)))

    for attempt, steps in enumerate((2, 20), start=1):
        child = multiprocessing.get_context("fork").Process(target=train, args=(attempt,))
        child.start()
        _wait_for_step(killed, steps, child)
        child.kill()
        child.join(30)
        assert child.exitcode == -signal.SIGKILL
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[3])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, str(killed), "3", job.model_dump_json()]
    subprocess.run(command, env=environment, timeout=120, check=True)
    train_tokenizer(job, RecordingContext(straight))
    assert weights(killed) == weights(straight)


def _wait_for_step(folder: Path, step: int, child: BaseProcess) -> None:
    """Return as soon as any attempt has reached `step`."""
    for _ in range(6_000):
        reached = [int(path.stem[5:]) for path in folder.glob("checkpoints/*/step-*.pt")]
        if max(reached, default=0) >= step:
            return
        assert child.is_alive(), "it has ended by itself"
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached in a minute")
