"""LPIPS and the other perceptual distance as scores of a set."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from drawnlpips import drawn_lpips
from recording import RecordingContext
from skimage import data
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Paths
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.errors import UserError
from vitok_core.metrics import networks
from vitok_core.metrics.comparisons import comparisons
from vitok_core.metrics.networks import NETWORKS
from vitok_core.metrics.scoring import score
from vitok_core.objectives import lite0_distance

LITE, VGG = "efficientnet-lite0", "lpips-vgg"


def pairs() -> tuple[Tensor, Tensor]:
    """Five photographs and spoilt copies, (5, 3, 32, 40) uint8."""
    sources = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.cat())
    images = torch.stack([torch.from_numpy(each[100:132, 150:190].copy()) for each in sources])
    images = images.permute(0, 3, 1, 2).contiguous()
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return images, (images + 25 * noise).round().clamp(0, 255).to(torch.uint8)


def reported(name: str, context: RecordingContext, cuts: tuple[int, ...] = ()) -> float:
    originals, rebuilt = pairs()
    (*_, found) = comparisons(EvaluationConfig(networks=(), perceptual=(name,)), context)
    batches = (torch.tensor_split(each, cuts) for each in (originals, rebuilt))
    for pair in zip(*batches, strict=True):
        found.add(found.look(*pair))
    found.report("measured", context)
    return context.results[-1][1]


def test_lpips_is_the_mean_of_the_authors_distances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vgg16.pth"
    theirs = drawn_lpips(path)
    known = replace(NETWORKS[VGG], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(networks, "NETWORKS", {**NETWORKS, VGG: known})
    context = RecordingContext(tmp_path, paths=Paths(weights={VGG: str(path)}))
    value = reported(VGG, context, (2,))
    originals, rebuilt = (each / 127.5 - 1 for each in pairs())
    expected = float(theirs(rebuilt, originals).mean())
    assert value == pytest.approx(expected, rel=1e-5)
    name, _, protocol = context.results[-1]
    assert name == "LPIPS"
    assert protocol.startswith("LPIPS 0.1 (package 0.1.4), VGG-16 ")
    assert protocol.endswith("frames as they are; per image then mean, 8-bit; N=5; measured")


def test_the_other_network_gives_no_lpips(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    value = reported(LITE, context)
    network = lite0_distance.load(networks.located(LITE, {}))
    originals, rebuilt = (each / 127.5 - 1 for each in pairs())
    assert value == pytest.approx(float(network.distance(rebuilt, originals).mean()), rel=1e-5)
    name, _, protocol = context.results[-1]
    assert name == "rPD[efficientnet-lite0]"
    assert "LPIPS" not in protocol


def test_without_its_weights_it_says_so(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path, paths=Paths(weights={VGG: "/nowhere/vgg.pth"}))
    with pytest.raises(UserError, match=r"network lpips-vgg: /nowhere/vgg.pth does not exist"):
        comparisons(EvaluationConfig(perceptual=(VGG,)), context)


def test_all_of_them_in_one_evaluation(tmp_path: Path) -> None:
    crops = EvalCrops(open_source("photos-tune", {}), 176, 3)
    evaluation = EvaluationConfig(networks=(), perceptual=(LITE,), ms_ssim=True)
    context = RecordingContext(tmp_path)
    score(crops, lambda samples: samples, "photos-tune@1", "f", evaluation, context)
    found = {name: value for name, value, _ in context.results}
    assert list(found) == ["rPSNR", "rSSIM", "rMS-SSIM", "rPD[efficientnet-lite0]"]
    assert found["rMS-SSIM"] == pytest.approx(1.0)
    assert found["rPD[efficientnet-lite0]"] == pytest.approx(0.0, abs=1e-6)
    small = EvalCrops(open_source("photos-tune", {}), 160, 3)
    with pytest.raises(UserError, match=r"evaluation.ms_ssim: its five scales need .* 161 px"):
        score(small, lambda samples: samples, "photos-tune@1", "f", evaluation, context)
