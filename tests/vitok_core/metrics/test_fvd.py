"""Fréchet video distances against their definition, and what is too little for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from recording import RecordingContext
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel
from stubi3d import Logits, pin
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Paths
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import UserError
from vitok_core.metrics import fvd
from vitok_core.metrics.fvd import windows
from vitok_core.metrics.scoring import score
from vitok_core.metrics.sets import ReferenceSet, SetScores
from vitok_core.training.distributed import World

ALONE = World(torch.device("cpu"))


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingContext:
    """With a file for the standard network, under its own hash."""
    return RecordingContext(tmp_path / "job", paths=Paths(weights=pin(tmp_path, monkeypatch)))


EVALUATION = EvaluationConfig(networks=(), video=("i3d",), scores=("kid",))


def drawn(n: int, seed: int, frames: int = 16) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, frames, 2, 2, generator=draws) * 255
    return coarse.repeat_interleave(8, 3).repeat_interleave(8, 4).to(torch.uint8)


def logits(clips: Tensor) -> Tensor:
    model = Logits().requires_grad_(False)
    return model(clips.float(), True, True, True).double()


def frechet(x: Tensor, y: Tensor) -> float:
    """The published formula, by scipy."""
    covariances = [each.T.cov().numpy() for each in (x, y)]
    root = sqrtm(covariances[0] @ covariances[1]).real.trace()
    shift = float((x.mean(0) - y.mean(0)).square().sum())
    return shift + sum(each.trace() for each in covariances) - 2 * root


def test_the_distances_are_those_of_the_logits(context: RecordingContext) -> None:
    references, clips = drawn(450, 1), drawn(450, 2)
    known = ReferenceSet(450, references.split(64), "key")
    scored("g", clips.split(7), known, context)
    (first, distance, protocol), (second, kernel, _) = context.results
    assert (first, second) == ("gFVD", "gKVD")
    assert "400 logits of i3d " in protocol
    assert protocol.endswith("N=450 of 16 frames; measured")
    x, y = logits(clips), logits(references)
    assert distance == pytest.approx(frechet(x, y), rel=1e-5)
    within = [polynomial_kernel(each) for each in (x, y)]
    unbiased = [(each.sum() - each.trace()) / (450 * 449) for each in within]
    expected = sum(unbiased) - 2 * polynomial_kernel(x, y).mean()
    assert kernel == pytest.approx(expected, abs=1e-6)

    # The second time the references stand in the cache; floats are rounded to the same 8 bits.
    scored("g", [clips.float() / 127.5 - 1], ReferenceSet(450, Unread(), "key"), context)
    assert [value for _, value, _ in context.results[2:]] == pytest.approx([distance, kernel])


def scored(
    prefix: str, batches: Sequence[Tensor], references: ReferenceSet, context: RecordingContext
) -> None:
    """Report the scores of clips of 16 frames."""
    n = sum(map(len, batches))
    scores = SetScores(prefix, n, 16, references, EVALUATION, context, ALONE)
    for batch in batches:
        scores.add(scores.look(batch))
    scores.report("measured")


class Unread(list[Tensor]):
    def __len__(self) -> int:
        raise AssertionError("the originals were read again")


def test_long_clips_are_cut_into_windows() -> None:
    clips = torch.arange(2 * 40).reshape(2, 1, 40, 1, 1).expand(2, 3, 40, 1, 1)
    found = windows(clips)
    assert found.shape == (4, 3, 16, 1, 1)
    firsts = found[:, 0, 0, 0, 0].tolist()
    assert firsts == [0, 16, 40, 56]  # frames 32 to 39 are left over


def test_clips_are_scored_beside_their_frames(
    context: RecordingContext, caplog: pytest.LogCaptureFixture
) -> None:
    crops = EvalCrops(open_source("synthetic", {}), 16, 6, 16)
    with caplog.at_level(logging.WARNING):
        score(crops, lambda samples: samples, "synthetic@1", "f", EVALUATION, context)
    found = {name: value for name, value, _ in context.results}
    assert list(found) == ["rPSNR", "rSSIM", "rFVD", "rKVD"]
    assert found["rFVD"] == pytest.approx(0.0, abs=1e-9)
    assert "rFVD: 6 clips of 16 frames for 400 logits: the covariance is rank-deficient" in (
        caplog.text
    )
    blurred = RecordingContext(context.folder, paths=context.paths)
    score(crops, spoil, "synthetic@1", "f", EVALUATION, blurred)
    originals = logits(crops.samples(range(6)))
    spoilt = logits(spoil(crops.samples(range(6))))
    values = {name: value for name, value, _ in blurred.results}
    assert values["rFVD"] == pytest.approx(frechet(spoilt, originals), rel=1e-4)


def spoil(samples: Tensor) -> Tensor:
    return 255 - samples // 2


@pytest.mark.parametrize(
    ("frames", "clips", "message"),
    [
        (8, 40, "evaluation.video: i3d looks at clips of 16 frames, data.frames is 8; leave it"),
        (31, 1, "evaluation.samples: 1: a Fréchet video distance needs 2 clips or more"),
    ],
)
def test_too_little_is_refused(
    context: RecordingContext, frames: int, clips: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        SetScores("r", clips, frames, ReferenceSet(clips, [], ""), EVALUATION, context, ALONE)


def test_absent_weights_and_nan_features_are_told_of(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ReferenceSet(2, [], "")
    scores = SetScores("r", 2, 16, known, EVALUATION, context, ALONE)
    monkeypatch.setattr(fvd.VideoExtractor, "features", lambda self, clips: clips * float("nan"))
    with pytest.raises(UserError, match="network i3d: its features of a clip are no numbers"):
        scores.look(torch.zeros(2, 400))
    bare = RecordingContext(context.folder, paths=Paths(weights={"i3d": "/nowhere/i3d.pt"}))
    with pytest.raises(UserError, match=r"network i3d: /nowhere/i3d.pt does not exist; correct"):
        SetScores("r", 2, 16, known, EVALUATION, bare, ALONE)
