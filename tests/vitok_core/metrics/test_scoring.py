"""Scoring from end to end, with codes whose quality is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from recording import RecordingContext
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Paths
from vitok_core.data.images import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import Stopped, UserError
from vitok_core.metrics import features, scoring
from vitok_core.metrics.efficientnet import Outputs
from vitok_core.metrics.features import Extractor
from vitok_core.metrics.networks import NETWORKS
from vitok_core.metrics.scoring import Rebuild, score

SAMPLES = 20
PIXELS = EvaluationConfig(networks=())
FULL = ("rPSNR", "rSSIM", "rFD[efficientnet-lite0]", "rFD[efficientnet-lite0-112]",
        "rIS[efficientnet-lite0]")  # fmt: skip


@pytest.fixture(scope="module")
def crops() -> EvalCrops:
    return EvalCrops(open_source("photos-tune", {}), 32, SAMPLES)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results root whose reference cache the tests share."""
    return tmp_path_factory.mktemp("results")


def coarse(levels: int) -> Rebuild:
    """A code that keeps every `levels`-th grey level: a function of each value alone."""

    def rebuild(images: Tensor) -> Tensor:
        return images // levels * levels

    return rebuild


def noisy(sigma: float) -> Rebuild:
    def rebuild(images: Tensor) -> Tensor:
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        return (images + sigma * noise).round().clamp(0, 255).to(torch.uint8)

    return rebuild


def scores(
    crops: EvalCrops,
    rebuild: Rebuild,
    folder: Path,
    evaluation: EvaluationConfig = EvaluationConfig(),  # noqa: B008  (frozen)
) -> dict[str, float]:
    context = RecordingContext(folder)
    score(crops, rebuild, "photos-tune@1", "f00d", evaluation, context)
    assert context.progressed[-1] == (len(crops), len(crops), "images")
    return {name: value for name, value, _ in context.results}


def test_a_perfect_code_has_perfect_scores(crops: EvalCrops, shared: Path) -> None:
    found = scores(crops, lambda images: images, shared)
    assert tuple(found) == FULL
    assert found["rPSNR"] == 100.0
    assert found["rSSIM"] == pytest.approx(1.0, abs=1e-12)
    assert found["rFD[efficientnet-lite0]"] == pytest.approx(0.0, abs=1e-6)
    assert found["rFD[efficientnet-lite0-112]"] == pytest.approx(0.0, abs=1e-6)
    assert 1 < found["rIS[efficientnet-lite0]"] <= SAMPLES


@pytest.mark.parametrize(
    "name", [name for name, network in NETWORKS.items() if "features" in network.loaders]
)
def test_no_network_has_a_reserved_name(crops: EvalCrops, shared: Path, name: str) -> None:
    """Theirs are the standard networks' numbers."""
    found = scores(crops, lambda images: images, shared, EvaluationConfig(networks=(name,)))
    assert len(found) > 2
    assert not found.keys() & {"rFID", "rIS", "LPIPS"}


def test_more_noise_is_worse_by_every_score(crops: EvalCrops, shared: Path) -> None:
    found = [scores(crops, noisy(sigma), shared) for sigma in (3.0, 15.0, 60.0)]
    for name in FULL:
        values = [each[name] for each in found]
        assert values == sorted(values, reverse=not name.startswith("rFD")), name
        assert len(set(values)) == 3


def test_batch_sizes_have_no_say(
    crops: EvalCrops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops, found = EvalCrops(crops.source, 32, 10), []
    for batch, micro in ((64, 4), (7, 3), (1, 1)):
        monkeypatch.setattr(scoring, "BATCH", batch)
        monkeypatch.setattr(features, "MICRO_BATCH", micro)
        found.append(scores(crops, coarse(32), tmp_path / str(batch)))
    for other in found[1:]:
        for name in ("rPSNR", "rSSIM"):
            assert other[name] == pytest.approx(found[0][name], abs=1e-9)
        for name in FULL[2:]:
            assert other[name] == pytest.approx(found[0][name], rel=1e-4)


def test_psnr_is_the_mean_over_the_very_crops(crops: EvalCrops, tmp_path: Path) -> None:
    images = crops.samples(range(SAMPLES)).numpy()
    expected = [
        peak_signal_noise_ratio(image, image // 32 * 32, data_range=255) for image in images
    ]
    found = scores(crops, coarse(32), tmp_path, PIXELS)
    assert set(found) == {"rPSNR", "rSSIM"}
    assert found["rPSNR"] == pytest.approx(np.mean(expected), abs=1e-9)


def test_the_protocols_say_all_that_values_depend_on(crops: EvalCrops, shared: Path) -> None:
    context = RecordingContext(shared)
    score(crops, coarse(8), "photos-tune@1", "f00d", EvaluationConfig(), context)
    data = (
        "photos-tune@1: 20 low-discrepancy crops of 17 photos, 32px, "
        "box 2^k then bicubic, antialiased"
    )
    network = "efficientnet-lite0 579344248a93, 224px bicubic, 8-bit"
    assert {name: protocol for name, _, protocol in context.results} == {
        "rPSNR": f"per image then mean, at most 100 dB, 8-bit, data range 1; {data}",
        "rSSIM": "Gaussian 11 sigma 1.5, K .01 .03, RGB mean, valid region, 8-bit, data range 1; "
        f"{data}",
        "rFD[efficientnet-lite0]": f"Frechet distance, 1280-d features of {network}; N=20; {data}",
        "rFD[efficientnet-lite0-112]": f"Frechet distance, 112-d features of {network}; N=20; "
        f"{data}",
        "rIS[efficientnet-lite0]": f"exp mean KL, 1 split, {network}; N=20; {data}",
    }


def test_it_warns_where_images_are_fewer_than_dimensions(
    crops: EvalCrops,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = EvalCrops(crops.source, 32, 4)
    scores(few, coarse(64), tmp_path)
    (line,) = caplog.messages
    assert "4 images for 1280-d features: the covariance is rank-deficient" in line
    # N images leave N - 1 directions: 4 do not fill 4 dimensions, and do fill 3.
    for width, warnings in ((4, 1), (3, 0)):
        caplog.clear()
        monkeypatch.setattr(scoring, "WIDTH", width)
        scores(few, coarse(64), tmp_path)
        assert len(caplog.messages) == warnings


def test_originals_are_looked_at_once_per_data(
    crops: EvalCrops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = Extractor.outputs

    def counted(self: Extractor, images: Tensor) -> Outputs:
        seen.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Extractor, "outputs", counted)
    few = EvalCrops(crops.source, 32, 4)
    first = scores(few, coarse(64), tmp_path)
    assert sum(seen) == 8
    assert scores(few, coarse(64), tmp_path) == first
    assert sum(seen) == 12  # only the reconstructions
    score(few, coarse(64), "photos-tune@1", "beef", EvaluationConfig(), RecordingContext(tmp_path))
    assert sum(seen) == 20  # other bytes under the same name
    scores(EvalCrops(crops.source, 32, 5), coarse(64), tmp_path)
    assert sum(seen) == 30


def test_a_damaged_cache_changes_no_score(crops: EvalCrops, tmp_path: Path) -> None:
    few = EvalCrops(crops.source, 32, 4)
    first = scores(few, coarse(64), tmp_path)
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_bytes(cached.read_bytes()[:1000])
    assert scores(few, coarse(64), tmp_path) == first
    assert cached.stat().st_size > 1000


def test_it_stops_when_asked_and_reports_nothing(crops: EvalCrops, tmp_path: Path) -> None:
    context = RecordingContext(tmp_path, stop=lambda step: "preempted")
    with pytest.raises(Stopped, match="preempted"):
        score(crops, coarse(2), "photos-tune@1", "f00d", PIXELS, context)
    assert context.results == []


def test_sizes_that_cannot_be_scored_are_the_users_to_mend(
    crops: EvalCrops, tmp_path: Path
) -> None:
    context = RecordingContext(tmp_path)
    with pytest.raises(UserError, match=r"resolution: 10: .* 11 or more"):
        score(EvalCrops(crops.source, 10, 4), coarse(2), "d", "f", PIXELS, context)
    one = EvalCrops(crops.source, 32, 1)
    with pytest.raises(UserError, match=r"evaluation\.samples: 1: .* 2 or more"):
        score(one, coarse(2), "d", "f", EvaluationConfig(), context)
    score(one, coarse(2), "d", "f", PIXELS, context)
    assert len(context.results) == 2


def test_absent_weights_are_noticed_before_the_work(crops: EvalCrops, tmp_path: Path) -> None:
    paths = Paths(weights={"efficientnet-lite0": str(tmp_path / "gone.pth")})
    context = RecordingContext(tmp_path, paths=paths)
    with pytest.raises(UserError, match=r"gone\.pth does not exist"):
        score(crops, coarse(2), "d", "f", EvaluationConfig(), context)
    assert context.progressed == []
