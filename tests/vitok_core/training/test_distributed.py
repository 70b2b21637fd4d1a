"""Several processes train what one would: the same curve, the same stops, the same bits again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from finetuning import finetune_job, parent
from forked import together
from PIL import Image
from recording import RecordingContext

from vitok_core.config import TokenizerJob
from vitok_core.context import Machine, Paths, Ranks
from vitok_core.data.skips import METRIC
from vitok_core.errors import Stopped, UserError
from vitok_core.training.checkpoint import weights_hash
from vitok_core.training.distributed import join
from vitok_core.training.finetune import finetune_tokenizer
from vitok_core.training.loop import THROUGHPUT
from vitok_core.training.tokenizer import train_tokenizer
from vitok_core.training.trained import load_model

MakeJob = Callable[..., TokenizerJob]


def train(job: TokenizerJob, folder: Path, size: int, **given: Any) -> list[Any]:
    """One attempt by so many processes: each one's context, or its error."""
    machine = given.pop("machine", {})

    def work(ranks: Ranks) -> RecordingContext:
        stop = given.get("stop", lambda ranks, step: None)
        context = RecordingContext(
            folder, given.get("attempt", 1), Machine(**machine, ranks=ranks),
            Paths(given.get("data", {})), stop=lambda step: stop(ranks, step),
        )  # fmt: skip
        train_tokenizer(job, context)
        context.stop = None  # type: ignore[assignment]  # a closure cannot be sent
        return context

    return together(size, work)


def weights(folder: Path) -> str:
    return weights_hash(load_model(folder).state_dict())


@pytest.mark.parametrize("init", ["standard", pytest.param("pca", marks=pytest.mark.slow)])
def test_two_processes_train_as_one(make_job: MakeJob, tmp_path: Path, init: str) -> None:
    job = make_job(tokenizer={"init": init, "final_norm": init == "standard"})
    alone = RecordingContext(tmp_path / "alone")
    train_tokenizer(job, alone)
    first, second = train(job, tmp_path / "two", 2, machine={"micro_batch": 1})
    names = {name for name, _, _ in alone.metrics} - {THROUGHPUT}
    assert {"loss", "loss_kl", "grad_norm"} <= names
    for name in names:
        steps, values = zip(*first.curve(name), strict=True)
        expected_steps, expected = zip(*alone.curve(name), strict=True)
        assert steps == expected_steps
        assert values == pytest.approx(expected, rel=1e-5), name
    ours, theirs = load_model(tmp_path / "two"), load_model(tmp_path / "alone")
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        # Adam's steps have the size of the rate whatever the gradient's: compare loosely.
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)
    assert [path.name for path, _ in first.saved] == ["final.pt"]
    assert second.saved == second.artifacts_made == []
    assert [row for row in second.metrics if row[0] != THROUGHPUT] == [
        row for row in first.metrics if row[0] != THROUGHPUT
    ]


def test_stage_2_by_two_processes_is_stage_2_by_one(tmp_path: Path) -> None:
    """Discriminator and averages included."""
    before, job = parent(tmp_path / "parent"), finetune_job()

    def work(folder: Path, ranks: Ranks) -> RecordingContext:
        context = RecordingContext(folder, 1, Machine(ranks=ranks), parents=(before,))
        finetune_tokenizer(job, context)
        context.stop = None  # type: ignore[assignment]  # a closure cannot be sent
        return context

    alone = work(tmp_path / "alone", Ranks())
    first, _ = together(2, lambda ranks: work(tmp_path / "two", ranks))
    names = {name for name, _, _ in alone.metrics} - {THROUGHPUT}
    assert {"loss_gan", "disc_loss", "disc_grad_norm"} <= names
    for name in names:
        values, expected = (
            [value for _, value in context.curve(name)] for context in (first, alone)
        )
        # The discriminator's scores are sums near zero: what is small beside their terms is noise.
        assert values == pytest.approx(expected, rel=1e-4, abs=1e-4), name
    ours, theirs = load_model(tmp_path / "two"), load_model(tmp_path / "alone")
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)


def test_one_is_asked_and_all_stop_and_resume_bit_by_bit(make_job: MakeJob, tmp_path: Path) -> None:
    """Of three: from there on the order of a sum matters."""
    job = make_job(train={"batch": 6})
    train(job, tmp_path / "undisturbed", 3)
    folder = tmp_path / "stopped"

    def stop(ranks: Ranks, step: int | None) -> str | None:
        return "preempted" if ranks.rank == 1 and step == 5 else None

    stopped = train(job, folder, 3, stop=stop)
    assert [type(error) for error in stopped] == [Stopped] * 3
    assert [path.name for path in folder.glob("checkpoints/*/*")] == ["step-000000005.pt"]
    resumed = train(job, folder, 3, attempt=2)
    assert [context.resumes[0][0] for context in resumed] == [5, 5, 5]
    assert weights(folder) == weights(tmp_path / "undisturbed")


def test_a_process_that_fails_leaves_none_waiting(make_job: MakeJob, tmp_path: Path) -> None:
    def stop(ranks: Ranks, step: int | None) -> None:
        if ranks.rank == 1 and step == 3:
            raise RuntimeError("no more disk")

    began = time.monotonic()
    first, second = train(make_job(), tmp_path, 2, stop=stop)
    assert str(second) == "no more disk"
    assert isinstance(first, RuntimeError)
    assert time.monotonic() - began < 30


def test_what_diverges_diverges_everywhere(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(train={"base_lr": 1e30, "clip_norm": None})
    errors = train(job, tmp_path, 2)
    assert [type(error).__name__ for error in errors] == ["Diverged", "Diverged"]
    assert str(errors[0]) == str(errors[1])


@pytest.fixture
def flawed(tmp_path: Path) -> dict[str, str]:
    """A data set of 16 pictures, of which five are corrupt."""
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(16):
        picture = Image.new("RGB", (24, 24), (16 * number, 0, 0))
        picture.save(root / f"{number:02}.png")
    for number in (1, 4, 7, 11, 12):
        (root / f"{number:02}.png").write_bytes(b"no picture")
    return {"coco2017-val": str(root)}


def test_corrupt_files_of_all_processes_are_counted(
    make_job: MakeJob, tmp_path: Path, flawed: dict[str, str]
) -> None:
    job = make_job(data={"name": "coco2017-val"})  # 48 samples: three epochs
    machine = {"corrupt_share": 1.0}
    (alone,) = train(job, tmp_path / "alone", 1, data=flawed, machine=machine)
    first, _ = train(job, tmp_path / "two", 2, data=flawed, machine=machine)
    assert first.curve(METRIC) == alone.curve(METRIC)
    assert sum(value for _, value in first.curve(METRIC)) == 15


def test_too_many_corrupt_files_fail_all_processes_at_once(
    make_job: MakeJob, tmp_path: Path, flawed: dict[str, str]
) -> None:
    """By the word that one process alone would have, every process's files in it."""
    job = make_job(data={"name": "coco2017-val"})
    machine = {"corrupt_share": 0.0045}  # of at least 1000: four
    errors = [
        str(error)
        for size in (1, 2)
        for error in train(job, tmp_path / str(size), size, data=flawed, machine=machine)
    ]
    assert errors == [errors[0]] * 3
    assert errors[0].startswith("5 of 16 samples were corrupt files")
    assert errors[0].count(".png") == 5


def test_an_uneven_batch_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    for error in train(make_job(train={"batch": 5}), tmp_path, 2):
        assert isinstance(error, UserError)
        assert "batch of 5 does not divide by the 2 processes" in str(error)


def test_gradients_and_terms_are_averaged() -> None:
    """Against the means, in plain arithmetic."""

    def work(ranks: Ranks) -> tuple[dict[str, float], list[float], bool, str]:
        with join(Machine(ranks=ranks)) as world:
            model = torch.nn.Linear(2, 1)
            model.weight.grad = torch.tensor([[1.0, 10.0]]) * (ranks.rank + 1)
            found = {"loss": torch.tensor(float(ranks.rank)), "kl": torch.tensor(4.0)}
            terms = world.average(model.parameters(), found)
            gradient = model.weight.grad.flatten().tolist()
            return terms, gradient, world.any(ranks.rank == 1), world.tell(f"by {ranks.rank}")

    for outcome in together(2, work):
        assert outcome == ({"loss": 0.5, "kl": 4.0}, [1.5, 15.0], True, "by 0")


def test_what_a_share_did_not_use_counts_as_zero() -> None:
    """And what no share used has no gradient, as in one process: no decay, no state."""

    def work(ranks: Ranks) -> list[list[float] | None]:
        with join(Machine(ranks=ranks)) as world:
            parts = [torch.nn.Parameter(torch.zeros(n)) for n in (2, 1, 1, 1)]
            used, first, second, _ = parts
            used.grad = torch.tensor([2.0, 4.0])
            (second if ranks.rank else first).grad = torch.tensor([8.0 + ranks.rank])
            assert world.average(parts, {"loss": torch.tensor(3.0)}) == {"loss": 3.0}
            return [None if p.grad is None else p.grad.tolist() for p in parts]

    for outcome in together(2, work):
        assert outcome == [[2.0, 4.0], [4.0], [4.5], None]
