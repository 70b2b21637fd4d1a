"""Scoring from end to end, with codes whose quality is known."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from recording import RecordingContext
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Paths
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import Stopped, UserError
from vitok_core.metrics import features, scoring
from vitok_core.metrics.classifier import ClassifierScore
from vitok_core.metrics.features import Extractor, Outputs
from vitok_core.metrics.networks import NETWORKS
from vitok_core.metrics.scoring import Rebuild, score, score_generated
from vitok_core.metrics.sets import bias
from vitok_core.metrics.views import View, named

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


def test_only_the_standard_network_has_reserved_names() -> None:
    """Theirs are the standard networks' numbers."""
    seen = {
        named(network, kind, "")
        for network in NETWORKS.values()
        if "features" in network.loaders and not network.standard
        for kind in ("FD", "KD", "IS", "Precision", "Recall")
    }
    assert all("[" in name for name in seen)
    standard = [network for network in NETWORKS.values() if network.standard]
    assert [network.name for network in standard] == ["inception-2015"]
    assert [named(standard[0], kind, "") for kind in ("FD", "KD", "IS")] == ["FID", "KID", "IS"]


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
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = EvalCrops(crops.source, 32, 4)
    scores(few, coarse(64), tmp_path)
    (line,) = caplog.messages
    assert "4 images for 1280-d features: the covariance is rank-deficient" in line
    assert "rFD[efficientnet-lite0-112]" not in line, "4 images are too few for 112-d as well"
    assert "evaluation.scores: [kid] is safer" in line
    assert "rIS[efficientnet-lite0]: 4 images a split for 1000 classes: biased downwards" in line


def test_where_the_warnings_begin() -> None:
    network, score = NETWORKS["efficientnet-lite0"], ClassifierScore(10)

    def told(layers: dict[str, int], score: ClassifierScore | None, n: int, prefix: str) -> str:
        view = View(network, network.scores, layers, None, "", "cpu", partial(named, network), gone)
        return bias(view, score, n, prefix) or ""

    # N images leave N - 1 directions: 4 do not fill 4 dimensions, and do fill 3.
    few = told({"": 4, "112": 3}, None, 4, "g")
    assert "gFD[efficientnet-lite0]: 4 images for 4-d" in few
    assert "gFD[efficientnet-lite0-112] is safer" in few
    assert told({"": 3, "112": 2}, None, 4, "g") == ""
    assert told({"": 3}, score, 10, "r") == ""
    assert told({"": 3}, score, 9, "r") != ""
    splits = ClassifierScore(10, 90, splits=10)
    assert "9 images a split" in told({"": 3}, splits, 90, "r")


def gone(samples: Tensor) -> Outputs:
    raise AssertionError("nothing is looked at")


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


def test_generated_samples_are_scored_against_a_reference_set(
    crops: EvalCrops, shared: Path
) -> None:
    images = crops.samples(range(SAMPLES)).flip(0)
    evaluation = EvaluationConfig(scores=("kid", "precision_recall"))

    def generated(samples: Tensor) -> dict[str, tuple[float, str]]:
        context = RecordingContext(shared)
        batches = samples.split(7)
        score_generated(
            batches, len(samples), "how", crops, "photos-tune@1", "f00d", evaluation, context
        )
        return {name: (value, protocol) for name, value, protocol in context.results}

    found = generated(images)
    assert list(found) == [
        f"g{kind}[efficientnet-lite0{layer}]"
        for layer in ("", "-112")
        for kind in ("FD", "KD", "Precision", "Recall")
    ] + ["gIS[efficientnet-lite0]"]
    values = {name: value for name, (value, _) in found.items()}
    for layer in ("", "-112"):
        assert values[f"gFD[efficientnet-lite0{layer}]"] == pytest.approx(0.0, abs=1e-6)
        assert values[f"gPrecision[efficientnet-lite0{layer}]"] == 1.0
        assert values[f"gRecall[efficientnet-lite0{layer}]"] == 1.0
    # The very same samples in both sets: less than 0 by the pairs i = j.
    assert values["gKD[efficientnet-lite0]"] < 0
    assert "N=20; how; reference photos-tune@1: 20 low-disc" in found["gIS[efficientnet-lite0]"][1]
    # Of one photo 20 times, the references' manifold covers all, and theirs covers one.
    one = generated(images[:1].expand(SAMPLES, -1, -1, -1))
    assert one["gPrecision[efficientnet-lite0]"][0] == 1.0
    assert one["gRecall[efficientnet-lite0]"][0] == pytest.approx(1 / SAMPLES)
    assert one["gIS[efficientnet-lite0]"][0] == pytest.approx(1.0)


def test_pairs_are_left_out_of_a_reconstructions_kernel_distance(
    crops: EvalCrops, shared: Path
) -> None:
    evaluation = EvaluationConfig(scores=("kid",))
    found = scores(crops, lambda images: images, shared, evaluation)
    assert found["rKD[efficientnet-lite0]"] == pytest.approx(0.0, abs=1e-12)
    spoilt = [
        scores(crops, noisy(s), shared, evaluation)["rKD[efficientnet-lite0]"] for s in (3, 60)
    ]
    assert 0 < spoilt[0] < spoilt[1]


def test_floats_are_rounded_and_must_be_numbers(crops: EvalCrops, tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)

    def floats(images: Tensor) -> Tensor:
        return coarse(32)(images) / 127.5 - 1.0 + 0.4 / 127.5

    assert scores(crops, floats, tmp_path, PIXELS) == scores(crops, coarse(32), tmp_path, PIXELS)
    with pytest.raises(UserError, match="no numbers: its training diverged"):
        score(crops, lambda images: images * torch.nan, "d", "f", PIXELS, context)


def test_reconstructions_of_another_size(crops: EvalCrops, tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    with pytest.raises(
        UserError, match=r"gives \(20, 3, 31, 32\) for originals of \(20, 3, 32, 32\)"
    ):
        score(crops, lambda images: images[..., 1:, :], "d", "f", PIXELS, context)


def test_features_that_are_no_numbers(
    crops: EvalCrops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Extractor.outputs

    def broken(self: Extractor, images: Tensor) -> Outputs:
        outputs = original(self, images)
        outputs.layers["112"][-1, 3] = torch.nan
        return outputs

    monkeypatch.setattr(Extractor, "outputs", broken)
    context = RecordingContext(tmp_path)
    few = EvalCrops(crops.source, 32, 3)
    with pytest.raises(UserError, match="network efficientnet-lite0: its features of an image"):
        score(few, coarse(2), "d", "f", EvaluationConfig(), context)
    assert context.results == []
