"""Inception's two forms, on weights made here, against torch-fidelity and torchvision."""

from __future__ import annotations

from pathlib import Path

import madeweights
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from recording import RecordingContext
from skimage import data
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torchvision.models import Inception3

from vitok_core.config import EvaluationConfig
from vitok_core.context import Paths
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import to_model
from vitok_core.data.sampler import EvalCrops
from vitok_core.metrics import features, inception, inception_v1, networks
from vitok_core.metrics.features import Extractor, truncated
from vitok_core.metrics.inception import Inception2015, resize_as_tensorflow1
from vitok_core.metrics.scoring import score

N = 12


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    madeweights.inception(Inception2015(), path)
    return path


@pytest.fixture(scope="module")
def peer(weights: Path) -> FeatureExtractorInceptionV3:
    names = ["2048", "logits_unbiased"]
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", names, feature_extractor_weights_path=str(weights)
    )


def photos(n: int, size: int) -> Tensor:
    photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1)
    return torch.stack([photo[:, 13 * i : 13 * i + size, 7 * i : 7 * i + size] for i in range(n)])


@pytest.mark.parametrize("size", [32, 75, 256, 298, 299, 300, 450])
def test_the_resize_is_tensorflows_first(size: int) -> None:
    images = photos(2, size)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(
        images.float(), (299, 299), align_corners=False
    )
    assert torch.equal(resize_as_tensorflow1(images, 299), theirs)


def test_features_and_logits_are_torch_fidelitys(
    weights: Path, peer: FeatureExtractorInceptionV3
) -> None:
    network = inception.load(weights)
    images = photos(3, 64)
    found = network(network.prepare(images))
    expected, logits = peer(images)
    assert expected.std(0).mean() > 1e-2, "the weights tell images apart"
    torch.testing.assert_close(found.layers[""], expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.logits, logits, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_fid_kid_and_is_from_end_to_end(
    weights: Path,
    peer: FeatureExtractorInceptionV3,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = Paths(weights=madeweights.pin("inception-2015", weights, monkeypatch))
    context = RecordingContext(tmp_path, paths=paths)
    crops = EvalCrops(open_source("photos-tune", {}), 32, N)
    evaluation = EvaluationConfig(networks=("inception-2015",), scores=("kid",))
    score(crops, lambda images: images // 64 * 64, "d@1", "f", evaluation, context)
    found = {name: value for name, value, _ in context.results}
    assert set(found) == {"rPSNR", "rSSIM", "rFID", "rKID", "rIS"}

    # In the same batches: a convolution's last bits depend on them.
    images = crops.samples(range(N)).split(features.MICRO_BATCH)
    rebuilt, logits = (
        torch.cat(x) for x in zip(*(peer(b // 64 * 64) for b in images), strict=True)
    )
    originals = torch.cat([peer(batch)[0] for batch in images])
    # Turned into the span of all features, which changes no distance: at 2048-d their rounding over
    # two thousand directions without variance adds up to 4e-6.
    both = torch.cat([rebuilt, originals]).double()
    basis = torch.linalg.qr(both.T).Q
    statistics = [
        fid_features_to_statistics(each.double() @ basis) for each in (rebuilt, originals)
    ]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert found["rFID"] == pytest.approx(theirs, rel=1e-6)
    theirs = isc_features_to_metric(logits, splits=10)["inception_score_mean"]
    assert found["rIS"] == pytest.approx(theirs, rel=1e-6)
    # Theirs has the pairs of one image among them, ours has not.
    x, y = rebuilt.double(), originals.double()
    theirs = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=N, verbose=False)
    kernel = (x @ y.T / 2048 + 1) ** 3
    pairs = 2 * (kernel.mean() - (kernel.sum() - kernel.trace()) / (N * (N - 1)))
    expected = theirs["kernel_inception_distance_mean"] + float(pairs)
    assert found["rKID"] == pytest.approx(expected, rel=1e-5)
    protocols = {name: protocol for name, _, protocol in context.results}
    assert protocols["rIS"].startswith("exp mean KL, 10 splits, inception-2015 ")
    assert "299px TF1 bilinear; N=12" in protocols["rFID"]


def test_the_released_evaluator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own lines, on torchvision's own network."""
    path = tmp_path / "torchvision.pth"
    reference = Inception3(init_weights=False)
    madeweights.inception(reference, path)
    reference.load_state_dict(torch.load(path))
    reference.eval()
    paths = Paths(weights=madeweights.pin("vitok-v1", path, monkeypatch))
    assert networks.NETWORKS["vitok-v1"].splits == 1
    extractor = Extractor.open("vitok-v1", RecordingContext(tmp_path, paths=paths))
    floats = to_model(photos(2, 64)) * 0.9 + 0.013
    found = extractor.outputs(floats)

    videos = floats[:, :, None].permute(0, 2, 1, 3, 4) * 0.5 + 0.5
    images = torch.clamp(videos * 255, 0, 255).to(torch.uint8)[:, 0].float()
    large = F.interpolate(2 * (images / 255) - 1, (299, 299), mode="bilinear", align_corners=True)
    taken: list[Tensor] = []
    reference.avgpool.register_forward_hook(lambda _, __, output: taken.append(output))
    with torch.no_grad():
        logits = reference(large)
    torch.testing.assert_close(found.layers[""], taken[0].flatten(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.logits, logits, rtol=1e-5, atol=1e-5)
    assert extractor.protocol.endswith("299px bilinear align-corners, truncated to 8-bit")
    assert found.logits is not None
    assert found.logits.shape[1] == inception_v1.CLASSES


def test_truncation_loses_what_rounding_keeps() -> None:
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    halves = (grey.float() + 0.7).clamp(max=255) / 127.5 - 1
    assert torch.equal(truncated(halves), grey)
    # Originals take the way through floats as well, and a quarter come out one lower.
    lost = grey.int() - truncated(grey).int()
    assert set(np.unique(lost)) == {0, 1}
    assert 0 < (lost[0, 0] == 1).float().mean() < 0.3
