"""Weights that are kept along a training, and the evaluation that takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from finetuning import context_of, finetune_job, parent
from recording import RecordingContext

from vitok_core import jobs
from vitok_core.config import EvaluationConfig, ReconstructJob, TokenizerJob
from vitok_core.context import Machine, Parent
from vitok_core.errors import Stopped, UserError
from vitok_core.training.checkpoint import load_checkpoint, weights_hash
from vitok_core.training.final import load_tokenizer
from vitok_core.training.finetune import finetune_tokenizer
from vitok_core.training.tokenizer import train_tokenizer

MakeJob = Callable[..., TokenizerJob]


def weights(folder: Path, step: int | None = None) -> str:
    return weights_hash(load_tokenizer(folder, step).state_dict())


def test_they_are_the_weights_of_their_step_and_are_kept(make_job: MakeJob, tmp_path: Path) -> None:
    context = RecordingContext(tmp_path / "job", machine=Machine(checkpoint_every=2))
    train_tokenizer(make_job(train={"milestones": (3, 8)}), context)
    names = ["final.pt", "milestone-000000003.pt", "milestone-000000008.pt"]
    assert [path.name for path in sorted(context.checkpoints.iterdir())] == names
    assert [(path.name, step) for path, step in context.saved if "mile" in path.name] == [
        (names[1], 3), (names[2], 8),
    ]  # fmt: skip
    # A run that is stopped at that step has these weights, whatever its milestones.
    stopped = RecordingContext(tmp_path / "stopped", stop=lambda step: "" if step == 3 else None)
    with pytest.raises(Stopped):
        train_tokenizer(make_job(), stopped)
    there = load_checkpoint(stopped.checkpoints / "step-000000003.pt")
    assert weights(context.folder, 3) == weights_hash(there["model"])
    assert len({weights(context.folder, step) for step in (3, 8, None)}) == 3


def test_stage_2_keeps_its_averages(tmp_path: Path) -> None:
    context = context_of(tmp_path / "job", parent(tmp_path / "parent"))
    finetune_tokenizer(finetune_job(finetune={"milestones": (4,)}), context)
    state = load_checkpoint(context.checkpoints / "milestone-000000004.pt")
    assert weights(context.folder, 4) == weights_hash(state["model"]) == state["weights_sha256"]
    assert weights_hash(state["raw"]) != weights_hash(state["model"])


def test_no_resume_takes_one_nor_passes_one_over(make_job: MakeJob, tmp_path: Path) -> None:
    """Stopped at the very milestone: the attempt that resumes finds it done."""
    job = make_job(train={"milestones": (4, 6)})
    straight, folder = RecordingContext(tmp_path / "straight"), tmp_path / "parted"
    train_tokenizer(job, straight)
    for attempt, stop in ((1, 4), (2, 5), (3, None)):
        context = RecordingContext(
            folder, attempt, stop=lambda step, at=stop: "time" if step == at else None
        )
        if stop is None:
            train_tokenizer(job, context)
            continue
        with pytest.raises(Stopped):
            train_tokenizer(job, context)
    assert [step for step, _ in context.resumes] == [5]
    for step in (4, 6, None):
        assert weights(folder, step) == weights(straight.folder, step)


def test_the_lowest_whole_one_counts(make_job: MakeJob, tmp_path: Path) -> None:
    hashes = {}
    for attempt, seed in ((2, 0), (10, 1)):
        context = RecordingContext(tmp_path, attempt)
        context.earlier_checkpoints = list  # type: ignore[assignment, method-assign]
        train_tokenizer(make_job(seed=seed, train={"steps": 2, "milestones": (1,)}), context)
        hashes[attempt] = weights(context.checkpoints / "milestone-000000001.pt")
    assert weights(tmp_path, 1) == hashes[2] != hashes[10]
    (tmp_path / "checkpoints" / "2" / "milestone-000000001.pt").write_bytes(b"torn")
    assert weights(tmp_path, 1) == hashes[10]
    with pytest.raises(UserError, match=r"no whole milestone-000000007\.pt"):
        load_tokenizer(tmp_path, 7)


def test_a_reconstruction_scores_the_step_that_it_names(make_job: MakeJob, tmp_path: Path) -> None:
    trained = RecordingContext(tmp_path / "tokenizer")
    train_tokenizer(make_job(train={"milestones": (1,)}), trained)
    scores = []
    for step in (1, None):
        of = Parent("t0", "tokenizer", {}, trained.folder)
        context = RecordingContext(tmp_path / str(step), parents=(of,))
        job = ReconstructJob(
            dataset="photos-tune", resolution=16, step=step,
            evaluation=EvaluationConfig(samples=17, networks=()),
        )  # fmt: skip
        jobs.reconstruct(job, context)
        scores.append({name: value for name, value, _ in context.results}["rPSNR"])
    assert scores[0] < scores[1]
