"""Set scores of the standard network, with a tiny one in its place: names, references, faults."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import madeweights
import numpy as np
import pytest
import torch
from recording import RecordingContext
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from vitok_core.config import EvaluationConfig
from vitok_core.context import Paths
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import UserError
from vitok_core.metrics import networks
from vitok_core.metrics.scoring import score, score_generated

NAME = "inception-2015"
ALL = EvaluationConfig(networks=(NAME,), scores=("kid", "precision_recall"))
N = 60


@pytest.fixture(scope="module")
def crops() -> EvalCrops:
    return EvalCrops(open_source("photos-tune", {}), 16, N)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingContext:
    """Where the standard network is the tiny one."""
    path = tmp_path / "tiny.pth"
    torch.save(torch.linspace(1.0, 2.0, 12), path)
    weights = madeweights.pin(NAME, path, monkeypatch)
    tiny = replace(networks.NETWORKS[NAME], loaders={"features": "tinynetwork:load"})
    monkeypatch.setattr(networks, "NETWORKS", {**networks.NETWORKS, NAME: tiny})
    monkeypatch.setattr("vitok_core.metrics.features.NETWORKS", networks.NETWORKS)
    monkeypatch.setattr("vitok_core.metrics.sets.NETWORKS", networks.NETWORKS)
    return RecordingContext(tmp_path, paths=Paths(weights=weights))


def features(images: Tensor) -> Tensor:
    pooled = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)
    return (pooled * torch.linspace(1.0, 2.0, 12)).double()


def samples(n: int, seed: int = 0) -> Tensor:
    """Noise in every colour, uint8."""
    generator = torch.Generator().manual_seed(seed)
    shade = torch.randint(0, 256, (n, 3, 2, 2), dtype=torch.uint8, generator=generator)
    return shade.repeat_interleave(8, 2).repeat_interleave(8, 3)


def generated(
    images: Tensor,
    references: EvalCrops | Path,
    context: RecordingContext,
    evaluation: EvaluationConfig = ALL,
) -> dict[str, float]:
    context.results.clear()
    batches = images.split(7)
    score_generated(batches, len(images), "how", references, "d@1", "f", evaluation, context)
    return {name: value for name, value, _ in context.results}


def test_the_standard_scores_are_torch_fidelitys(
    crops: EvalCrops, context: RecordingContext
) -> None:
    found = generated(samples(80), crops, context)
    assert list(found) == ["gFID", "gKID", "gPrecision", "gRecall", "gIS"]
    x, y = features(samples(80)), features(crops.samples(range(N)))
    statistics = [fid_features_to_statistics(each) for each in (x, y)]
    fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert found["gFID"] == pytest.approx(fid, rel=1e-6)
    score = isc_features_to_metric(4 * x.float(), splits=10)["inception_score_mean"]
    assert found["gIS"] == pytest.approx(score, rel=1e-6)
    shares = prc_features_to_metric(x, y, verbose=False)
    assert found["gPrecision"] == pytest.approx(shares["precision"], abs=1e-6)
    assert found["gRecall"] == pytest.approx(shares["recall"], abs=1e-6)
    same = generated(samples(N), crops, context)
    kid = kid_features_to_metric(
        features(samples(N)), y, kid_subsets=1, kid_subset_size=N, verbose=False
    )
    assert same["gKID"] == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-5)


def test_one_split_is_an_option(crops: EvalCrops, context: RecordingContext) -> None:
    one = EvaluationConfig(networks=(NAME,), splits=1)
    found = generated(samples(80), crops, context, one)
    expected = isc_features_to_metric(4 * features(samples(80)), splits=1)["inception_score_mean"]
    assert found["gIS"] == pytest.approx(expected, rel=1e-6)
    assert ", 1 split, inception-2015" in context.results[-1][2]


def test_statistics_stand_for_a_reference_set(
    crops: EvalCrops, context: RecordingContext, tmp_path: Path
) -> None:
    plain = EvaluationConfig(networks=(NAME,))
    y = features(crops.samples(range(N))).numpy()
    path = tmp_path / "adm.npz"
    np.savez(path, mu=y.mean(0), sigma=np.cov(y, rowvar=False))
    found = generated(samples(80), path, context, plain)
    assert found == pytest.approx(generated(samples(80), crops, context, plain), rel=1e-6)
    generated(samples(80), path, context, plain)
    assert context.results[0][2].endswith("N=80; how; reference d@1: statistics")


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (EvaluationConfig(), "efficientnet-lite0: .* holds statistics of inception-2015 alone"),
        (ALL, "evaluation.scores: kid: .* holds statistics and no samples"),
    ],
)
def test_what_statistics_cannot_serve(
    context: RecordingContext, tmp_path: Path, evaluation: EvaluationConfig, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        generated(samples(20), tmp_path / "adm.npz", context, evaluation)
    assert context.results == []


@pytest.mark.parametrize(
    ("n", "evaluation", "message"),
    [
        (1, EvaluationConfig(), r"sampling\.samples: 1: a Fréchet distance needs 2 or more"),
        (9, EvaluationConfig(networks=(NAME,)), "an Inception Score of 10 splits needs 10 or"),
        (3, EvaluationConfig(scores=("precision_recall",)), "manifold of 3 neighbours needs 4"),
    ],
)
def test_too_few_samples(
    crops: EvalCrops,
    context: RecordingContext,
    n: int,
    evaluation: EvaluationConfig,
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        generated(samples(n), crops, context, evaluation)
    one = EvalCrops(crops.source, 16, 1)
    with pytest.raises(UserError, match=r"evaluation\.samples: 1: "):
        generated(samples(20), one, context, EvaluationConfig(networks=(NAME,)))


def test_rows_leave_nothing_behind_and_references_are_kept(
    crops: EvalCrops, context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = generated(samples(80), crops, context)
    names = sorted(path.name for path in context.folder.iterdir())
    assert names == ["artifacts", "cache", "checkpoints", "tiny.pth"]
    (archive,), (rows,) = (list(context.cache.glob(f"*.{kind}")) for kind in ("npz", "npy"))
    assert rows.name.startswith(archive.stem)

    def gone(self: EvalCrops, indices: object) -> Tensor:
        raise AssertionError("the references are looked at again")

    monkeypatch.setattr(EvalCrops, "samples", gone)
    assert generated(samples(80), crops, context) == first
    with pytest.raises(AssertionError, match="looked at again"):  # other bytes under the name
        score_generated([samples(80)], 80, "how", crops, "d@1", "beef", ALL, context)


def test_networks_have_references_of_their_own(crops: EvalCrops, context: RecordingContext) -> None:
    both = EvaluationConfig(networks=("efficientnet-lite0", NAME), splits=1)
    found = generated(samples(20), EvalCrops(crops.source, 16, 20), context, both)
    sets = [features(samples(20)), features(crops.samples(range(20)))]
    statistics = [fid_features_to_statistics(each) for each in sets]
    fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert found["gFID"] == pytest.approx(fid, rel=1e-6)


def test_reconstructions_of_few_images_are_warned_of(
    crops: EvalCrops, context: RecordingContext, caplog: pytest.LogCaptureFixture
) -> None:
    evaluation = EvaluationConfig(networks=(NAME,))
    with caplog.at_level(logging.WARNING):
        few = EvalCrops(crops.source, 16, 12)
        score(few, lambda images: images, "d@1", "f", evaluation, context)
    (line,) = caplog.messages
    assert line.startswith("rFID: 12 images for 12-d features")
    assert "rIS: 1 images a split for 12 classes" in line
