"""The job `generate`: samples by number, restarts, balanced classes, scores, sheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chain import encoded, generator, latents_job, tokenizer
from PIL import Image
from recording import RecordingContext

from vitok_core import jobs
from vitok_core.config import GenerateJob, SamplingConfig
from vitok_core.context import Machine, Parent, Paths
from vitok_core.diffusion import generate as module
from vitok_core.diffusion.generate import classes_of
from vitok_core.diffusion.sampling import sample
from vitok_core.errors import Stopped, UserError
from vitok_core.models.dit import Dit

SCORES = {"gFD[efficientnet-lite0]", "gFD[efficientnet-lite0-112]", "gIS[efficientnet-lite0]"}


@dataclass(frozen=True)
class Chain:
    parents: Sequence[Parent]

    def context(self, folder: Path, **options: Any) -> RecordingContext:
        return RecordingContext(folder, parents=self.parents, **options)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain")
    of = tokenizer(folder / "t")
    encoded(folder / "l", of, latents_job())
    return Chain((generator(folder / "g", folder / "l"), of))


def job(cfg: float = 1.5, **fields: Any) -> GenerateJob:
    sampling = {"samples": 10, "steps": 2, **fields.pop("sampling", {})}
    evaluation = {"samples": 4, **fields.pop("evaluation", {})}
    given = {"reference": "photos-tune", "resolution": 32, **fields}
    return GenerateJob.model_validate(
        {"cfg": cfg, "sampling": sampling, "evaluation": evaluation, **given}
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What each job of the test scores, instead of scores."""
    found: list[torch.Tensor] = []

    def score(samples: Any, *_: Any) -> None:
        found.append(torch.cat(list(samples)))

    monkeypatch.setattr(module, "score_generated", score)
    return found


def test_statistics_stand_for_the_reference_set(
    tmp_path: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "adm.npz"
    path.write_bytes(b"statistics")
    context = chain.context(tmp_path / "job", paths=Paths(data={"adm-imagenet256": str(path)}))
    given: list[Any] = []
    monkeypatch.setattr(module, "score_generated", lambda *values: given.extend(values))
    jobs.generate(job(reference="adm-imagenet256"), context)
    assert given[3:5] == [path, "adm-imagenet256@1"]
    ((_, _, fingerprint),) = context.fingerprints
    path.write_bytes(b"other statistics")
    jobs.generate(job(reference="adm-imagenet256"), context)
    assert context.fingerprints[1][2] != fingerprint


def test_scores_say_how_samples_were_drawn(tmp_path: Path, chain: Chain) -> None:
    context = chain.context(tmp_path)
    jobs.generate(job(), context)
    assert {name for name, _, _ in context.results} == SCORES
    for _, value, protocol in context.results:
        assert np.isfinite(value)
        assert "N=10; balanced classes, 2 steps; reference photos-tune@1: 4 " in protocol
        assert "seed" not in protocol, "seeds and scales have columns of their own"
    ((name, _, _),) = context.fingerprints
    assert name == "photos-tune"
    assert context.progressed[-1] == (10, 10, "images")
    assert context.artifacts_made == [(tmp_path / "artifacts/samples.png", "samples")]
    with Image.open(tmp_path / "artifacts/samples.png") as sheet:
        assert sheet.size == (4 * (128 + 4) + 4, 3 * (128 + 4) + 4)
    assert not (tmp_path / "artifacts/chunks").exists(), "scored samples go"


def test_sample_n_is_the_same_whatever_comes_with_it(
    tmp_path: Path, chain: Chain, drawn: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.generate(job(), chain.context(tmp_path / "a"))
    jobs.generate(job(sampling={"samples": 4}), chain.context(tmp_path / "b"))
    monkeypatch.setattr(module, "CHUNK", 3)
    jobs.generate(job(), chain.context(tmp_path / "c"))
    whole, few, chunked = drawn
    assert whole.dtype == torch.uint8
    assert whole.shape == (10, 3, 32, 32)
    # Another grouping rounds products otherwise: a grey level at most.
    assert (whole[:4].int() - few.int()).abs().max() <= 1
    assert (whole.int() - chunked.int()).abs().max() <= 1
    jobs.generate(job(seed=1), chain.context(tmp_path / "d"))
    jobs.generate(job(cfg=40), chain.context(tmp_path / "e"))
    assert not any(torch.equal(other, whole) for other in drawn[3:])
    assert len({each.numpy().tobytes() for each in whole}) == 10


def test_a_stopped_job_keeps_what_it_drew(
    tmp_path: Path, chain: Chain, drawn: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    looked = iter([None, None, "asked to"])
    with pytest.raises(Stopped, match="asked to"):
        jobs.generate(job(), chain.context(tmp_path, stop=lambda _: next(looked)))
    chunks = sorted((tmp_path / "artifacts/chunks").iterdir())
    assert len(chunks) == 2
    chunks[1].write_bytes(chunks[1].read_bytes()[:-7])  # by a full disk, say
    context = chain.context(tmp_path)
    jobs.generate(job(), context)
    assert [done for done, _, _ in context.progressed[:3]] == [6, 9, 10]
    jobs.generate(job(), chain.context(tmp_path / "undisturbed"))
    assert torch.equal(*drawn)


def test_chunks_of_another_size_are_no_others_samples(
    tmp_path: Path, chain: Chain, drawn: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten by sixes are six and four; by fours the second chunk has four too, but not those."""

    def stopped(*_: Any) -> None:
        raise Stopped("before it was scored")

    with monkeypatch.context() as patched:
        patched.setattr(module, "score_generated", stopped)
        with pytest.raises(Stopped):
            jobs.generate(job(), chain.context(tmp_path, machine=Machine(micro_batch=6)))
    jobs.generate(job(), chain.context(tmp_path, machine=Machine(micro_batch=4)))
    jobs.generate(job(), chain.context(tmp_path / "undisturbed"))
    assert (drawn[0].int() - drawn[1].int()).abs().max() <= 1


def test_classes_are_exactly_balanced_or_drawn() -> None:
    balanced = SamplingConfig(samples=50)
    classes = classes_of(balanced, 10, 0, range(50)).tolist()
    assert set(Counter(classes).values()) == {5}
    assert classes_of(balanced, 10, 0, range(7, 12)).tolist() == classes[7:12]
    random = SamplingConfig(samples=4000, classes="random")
    drawn = classes_of(random, 10, 0, range(4000))
    assert torch.equal(classes_of(random, 10, 0, range(7, 12)), drawn[7:12])
    counts = torch.bincount(drawn, minlength=10)
    assert ((counts - 400).abs() < 5 * 400**0.5).all()
    assert counts.unique().numel() > 1
    assert not torch.equal(drawn, classes_of(random, 10, 1, range(4000)))


@pytest.mark.parametrize("classes", ["balanced", "random"])
def test_sample_n_is_of_its_class_at_the_jobs_scale(
    tmp_path: Path, chain: Chain, drawn: list[torch.Tensor], classes: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    labelled: dict[int, int] = {}
    scales: set[float] = set()

    def spied(model: Dit, labels: torch.Tensor, *rest: Any) -> torch.Tensor:
        labelled.update(zip(rest[-1], labels.tolist(), strict=True))
        scales.add(rest[0])
        return sample(model, labels, *rest)

    monkeypatch.setattr(module, "sample", spied)
    monkeypatch.setattr(module, "CHUNK", 8)
    jobs.generate(
        job(sampling={"samples": 20, "classes": classes}, seed=3), chain.context(tmp_path)
    )
    known = 17  # photos
    wanted = classes_of(SamplingConfig.model_validate({"classes": classes}), known, 3, range(20))
    assert labelled == dict(enumerate(wanted.tolist()))
    assert scales == {1.5}


def test_clips_are_scored_and_shown_still_and_moving(tmp_path: Path) -> None:
    of = tokenizer(tmp_path / "t", "synthetic", frames=4, stride=2)
    encoded(tmp_path / "l", of, latents_job("synthetic", frames=4, samples=12))
    made = Chain((generator(tmp_path / "g", tmp_path / "l"), of))
    context = made.context(tmp_path / "s")
    each_frame = {"splits": 12}  # is an image: fewer could not be split so
    clips = job(reference="synthetic", frames=4, sampling={"samples": 3}, evaluation=each_frame)
    jobs.generate(clips, context)
    assert {name for name, _, _ in context.results} == SCORES
    assert all("N=12; balanced classes" in protocol for _, _, protocol in context.results)
    assert context.progressed[-1] == (3, 3, "clips")
    (still, kind), (moving, other) = context.artifacts_made
    assert (kind, other) == ("frames", "clips")
    with Image.open(still) as sheet:
        assert sheet.size == (4 * (128 + 4) + 4, 3 * (128 + 4) + 4)
    with Image.open(moving) as sheet:
        assert (sheet.n_frames, sheet.format) == (4, "GIF")  # type: ignore[attr-defined]


def test_a_generator_without_classes(tmp_path: Path, drawn: list[torch.Tensor]) -> None:
    of = tokenizer(tmp_path / "t")
    encoded(tmp_path / "l", of, latents_job())
    made = Chain((generator(tmp_path / "g", tmp_path / "l", classes=1), of))
    jobs.generate(job(cfg=1, sampling={"samples": 2}), made.context(tmp_path / "s"))
    assert drawn[0].shape == (2, 3, 32, 32)


def test_threads_are_the_jobs(tmp_path: Path, chain: Chain, drawn: list[torch.Tensor]) -> None:
    jobs.generate(job(sampling={"samples": 2}), chain.context(tmp_path, machine=Machine(threads=1)))
    assert torch.get_num_threads() == 1


def test_samples_that_are_no_numbers_are_not_scored_as_black(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: Dit, labels: torch.Tensor, *_: object) -> torch.Tensor:
        return torch.full((len(labels), *model.code_shape), torch.nan)

    monkeypatch.setattr(module, "sample", broken)
    with pytest.raises(UserError, match=r"cfg: 1\.5: samples hold values that are no numbers"):
        jobs.generate(job(), chain.context(tmp_path))


def test_classes_that_are_not_drawn_are_told_of(
    chain: Chain, tmp_path: Path, drawn: list[torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    for samples, told in ((17, False), (10, True)):
        jobs.generate(job(sampling={"samples": samples}), chain.context(tmp_path / str(samples)))
        assert ("there are 17 classes" in caplog.text) == told
