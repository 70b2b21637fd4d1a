"""Several processes score as one does: to the last bit, whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import madeweights
import pytest
import stubi3d
import torch
from forked import together
from recording import RecordingContext

from vitok_core import jobs
from vitok_core.config import BaselineJob, EvaluationConfig, ReconstructJob, TokenizerJob
from vitok_core.context import Context, Machine, Parent, Paths, Ranks
from vitok_core.errors import Stopped, UserError
from vitok_core.metrics import networks, scoring

TOWER = {"width": 24, "blocks": 1, "heads": 2}
CLIPS = 9  # five batches of two: no number of processes here divides them
EVERYTHING = EvaluationConfig(
    samples=CLIPS,
    networks=("inception-2015",),
    scores=("kid", "precision_recall"),
    splits=10,
    perceptual=("efficientnet-lite0",),
    video=("i3d",),
)
JOB = ReconstructJob(dataset="synthetic", resolution=16, frames=16, evaluation=EVERYTHING)
VIDEO = JOB.model_copy(
    update={"evaluation": EvaluationConfig(samples=CLIPS, networks=(), video=("i3d",))}
)
Stop = Callable[[Ranks], str | None]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    """A tokenizer of clips, after two steps."""
    folder = tmp_path_factory.mktemp("tokenizer")
    job = TokenizerJob.model_validate(
        {
            "tokenizer": {
                "encoder": TOWER, "decoder": TOWER, "patch": 8, "stride": 4, "channels": 4,
            },
            "data": {"name": "synthetic", "resolution": 16, "frames": 16},
            "train": {"steps": 2, "batch": 2, "base_lr": 0.1, "precision": "fp32"},
        }
    )  # fmt: skip
    jobs.tokenizer(job, RecordingContext(folder))
    return Parent("t0", "tokenizer", job.model_dump(mode="json"), folder)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of tiny networks in the place of the standard ones; batches are of two clips."""
    monkeypatch.setattr(scoring, "BATCH", 32)
    path = tmp_path / "tiny.pth"
    torch.save(torch.linspace(1.0, 2.0, 12), path)
    found = madeweights.pin("inception-2015", path, monkeypatch)
    found |= stubi3d.pin(tmp_path, monkeypatch)
    tiny = replace(networks.NETWORKS["inception-2015"], loaders={"features": "tinynetwork:load"})
    table = {**networks.NETWORKS, tiny.name: tiny}
    for module in ("networks", "features", "sets", "fvd"):
        monkeypatch.setattr(f"vitok_core.metrics.{module}.NETWORKS", table)
    return found


def scored(
    size: int, folder: Path, run: Callable[[Context], None], stop: Stop = lambda _: None,
    **given: Any,
) -> list[Any]:  # fmt: skip
    """What the context of each of so many processes heard, or what it raised."""

    def work(ranks: Ranks) -> RecordingContext:
        machine = Machine(ranks=ranks)
        context = RecordingContext(folder, machine=machine, stop=lambda _: stop(ranks), **given)
        run(context)
        context.stop = None  # type: ignore[assignment]  # a closure cannot be sent
        return context

    return together(size, work)


def files(folder: Path) -> Mapping[str, bytes]:
    """All that a job left, references included."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_two_and_three_processes_score_as_one(
    tmp_path: Path, trained: Parent, weights: dict[str, str]
) -> None:
    given = {"parents": (trained,), "paths": Paths(weights=weights)}

    def run(context: Context) -> None:
        jobs.reconstruct(JOB, context)

    (alone,) = scored(1, tmp_path / "1", run, **given)
    assert [name for name, _, _ in alone.results] == [
        "rPSNR", "rSSIM", "rPD[efficientnet-lite0]",
        "rFID", "rKID", "rPrecision", "rRecall", "rIS", "rFVD", "rKVD",
        "kl_bits_per_pixel", "active_channels", "effective_rank", "high_frequency_share",
    ]  # fmt: skip
    for size in (2, 3):
        first, *others = scored(size, tmp_path / str(size), run, **given)
        assert first.results == alone.results
        assert first.progressed == alone.progressed
        assert [path.name for path, _ in first.artifacts_made] == ["spectrum.json", "sheet.png"]
        assert files(tmp_path / str(size)) == files(tmp_path / "1")
        for other in others:
            assert other.results == other.progressed == other.artifacts_made == []


def test_the_second_time_the_references_are_not_looked_at(
    tmp_path: Path, trained: Parent, weights: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"parents": (trained,), "paths": Paths(weights=weights)}
    seen: list[int] = []

    def run(context: Context) -> None:
        read = scoring.Batches.__getitem__
        monkeypatch.setattr(
            scoring.Batches, "__getitem__", lambda self, k: seen.append(k) or read(self, k)
        )
        jobs.reconstruct(VIDEO, context)
        context.metric("batches", len(seen), 0)

    first = [each.metrics[0][1] for each in scored(2, tmp_path, run, **given)]
    second = [each.metrics[0][1] for each in scored(2, tmp_path, run, **given)]
    assert first == [3 + 3, 2 + 2]  # to be rebuilt, and as originals
    assert second == [3, 2]


def test_a_baselines_account_is_that_of_all(tmp_path: Path) -> None:
    job = BaselineJob.model_validate(
        {
            "codec": {"kind": "webp", "name": "webp", "bits_per_pixel": 1},
            "dataset": "photos-tune", "resolution": 16,
            "evaluation": {"samples": 150, "networks": []},
        }
    )  # fmt: skip

    def run(context: Context) -> None:
        jobs.baseline(job, context)

    alone, first = (scored(size, tmp_path / str(size), run)[0] for size in (1, 2))
    assert [name for name, _, _ in alone.results] == ["rPSNR", "rSSIM", "bits_per_pixel"]
    assert first.results == alone.results


def test_one_is_asked_and_all_stop(
    tmp_path: Path, trained: Parent, weights: dict[str, str]
) -> None:
    looked: list[int] = []

    def stop(ranks: Ranks) -> str | None:
        looked.append(0)
        return "preempted" if ranks.rank == 1 and len(looked) == 2 else None

    given = {"parents": (trained,), "paths": Paths(weights=weights)}
    outcomes = scored(2, tmp_path, lambda each: jobs.reconstruct(VIDEO, each), stop, **given)
    assert [type(error) for error in outcomes] == [Stopped] * 2
    assert [error.reason for error in outcomes] == [
        "another process of the job was asked to stop", "preempted",
    ]  # fmt: skip


def test_one_that_fails_leaves_none_waiting(
    tmp_path: Path, trained: Parent, weights: dict[str, str]
) -> None:
    def stop(ranks: Ranks) -> None:
        if ranks.rank == 1:
            raise UserError("no more disk")

    given = {"parents": (trained,), "paths": Paths(weights=weights)}
    first, second = scored(2, tmp_path, lambda each: jobs.reconstruct(VIDEO, each), stop, **given)
    assert str(second) == "no more disk"
    assert isinstance(first, RuntimeError)
