"""Corrupt files: the same ones are passed over by everyone, journalled, and too many fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from media import encoded, numbered, shards, tar, video, write
from recording import RecordingContext

from vitok_core.config import DataConfig
from vitok_core.context import Paths
from vitok_core.data.images import CorruptImage
from vitok_core.data.opening import training_crops
from vitok_core.data.sampler import EvalCrops, TrainCrops, loader
from vitok_core.data.skips import METRIC
from vitok_core.errors import UserError

COUNT = 12
BAD = (3, 7)


def folder(root: Path) -> str:
    good = {f"{i:02}.jpg": encoded(i) for i in range(COUNT)}
    return str(write(root / "flat", {**good, **{f"{i:02}.jpg": encoded(i)[:200] for i in BAD}}))


def tars(root: Path) -> str:
    members = {}
    for i in range(COUNT):
        members[f"{i}.jpg"] = encoded(i)[: 200 if i in BAD else None]
        members[f"{i}.cls"] = b"%d" % i
    tar(root / "tars" / "0.tar", members)
    return str(root / "tars")


def films(root: Path) -> str:
    good = {f"{i:02}.mp4": video(numbered(6, first=i * 9)) for i in range(COUNT)}
    return str(write(root / "films", {**good, **{f"{i:02}.mp4": b"broken" for i in BAD}}))


@pytest.fixture(params=[folder, tars, films])
def job(request: pytest.FixtureRequest, context: RecordingContext) -> RecordingContext:
    """A context whose training set, of 12 files, has two corrupt ones."""
    name = "shutterstock-video" if request.param is films else "coco2017-val"
    context.paths = Paths(data={name: request.param(context.folder)})
    return context


def crops(context: RecordingContext, seed: int = 0) -> TrainCrops:
    (name,) = context.paths.data
    frames = 2 if name == "shutterstock-video" else 1
    return training_crops(DataConfig(name=name, resolution=16, frames=frames), seed, context)


def test_the_next_of_the_epochs_order_stands_in(job: RecordingContext) -> None:
    sampler = crops(job)
    order = [sampler.image_index(i) for i in range(COUNT)]
    for i in range(COUNT):
        example = sampler.read(i)
        following = (order[(i + k) % COUNT] for k in range(COUNT))
        used = next(image for image in following if image not in BAD)
        assert example.label == sampler.source.label(used)
        assert (example.corrupt is not None) == (order[i] in BAD)
        assert example.corrupt is None or "not a readable" in example.corrupt


def test_ranks_workers_and_resumed_runs_pass_over_the_same(job: RecordingContext) -> None:
    whole = list(loader(crops(job), 4, range(9)))
    for workers, start in ((0, 4), (2, 4)):
        rest = list(loader(crops(job), 4, range(start, 9), workers))
        for one, two in zip(whole[start:], rest, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    ranks = [list(loader(crops(job), 4, range(9), rank=rank, world=2)) for rank in range(2)]
    for step, batch in enumerate(whole):
        assert torch.equal(torch.cat([rank[step].samples for rank in ranks]), batch.samples)


@pytest.mark.parametrize("workers", [0, 2])
def test_they_are_counted_at_their_step(
    job: RecordingContext, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in loader(crops(job), 4, range(9), workers):
        pass
    curve = job.curve(METRIC)
    # Three epochs meet each of the two once.
    assert sum(value for _, value in curve) == 6
    assert all(1 <= step <= 9 for step, _ in curve)
    assert len(caplog.messages) == 2
    assert all("not a readable" in message for message in caplog.messages)
    # A run that was killed and resumed adds up to the same.
    first, rest = (RecordingContext(job.folder, paths=job.paths) for _ in range(2))
    list(loader(crops(first), 4, range(5), workers))
    list(loader(crops(rest), 4, range(5, 9), workers))
    assert first.curve(METRIC) + rest.curve(METRIC) == curve


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_fail_the_job_and_are_named(job: RecordingContext, workers: int) -> None:
    job.machine = replace(job.machine, corrupt_share=0.0015)  # of at least 1000: one
    with pytest.raises(UserError, match=r"^2 of \d+ samples were corrupt files, more than") as said:
        list(loader(crops(job), 4, range(9), workers))
    assert "the resources' corrupt_share allows" in str(said.value)
    assert str(said.value).count("not a readable") == 2
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_data_set_is_one_line(context: RecordingContext, workers: int) -> None:
    root = write(context.folder / "flat", {f"{i:02}.jpg": b"" for i in range(30)})
    context.paths = Paths(data={"coco2017-val": str(root)})
    with pytest.raises(UserError, match="20 corrupt files in a row, the first: ") as said:
        list(loader(crops(context), 4, range(2), workers))
    assert "\n" not in str(said.value)


def test_without_an_account_they_are_errors(job: RecordingContext) -> None:
    sampler = TrainCrops(crops(job).source, 16, 0)
    with pytest.raises(CorruptImage, match="not a readable"):
        sampler.samples(range(COUNT))
    with pytest.raises(CorruptImage, match="not a readable"):
        list(loader(sampler, 4, range(3), 1))


def test_in_evaluation_they_are_errors(job: RecordingContext) -> None:
    evaluation = EvalCrops(crops(job).source, 16)
    evaluation.sample(0)
    with pytest.raises(CorruptImage, match="not a readable"):
        evaluation.samples(range(COUNT))


def test_whole_sets_count_nothing(context: RecordingContext, tmp_path: Path) -> None:
    context.paths = Paths(data={"coco2017-val": str(shards(tmp_path / "good", 2, 4))})
    list(loader(crops(context), 4, range(9)))
    assert context.curve(METRIC) == []
