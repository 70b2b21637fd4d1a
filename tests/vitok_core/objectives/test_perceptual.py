"""LPIPS against the package of its authors; the offline distance against its definition."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from recording import RecordingContext
from torch import Tensor

from vitok_core.config import LossConfig
from vitok_core.context import Paths
from vitok_core.errors import UserError
from vitok_core.metrics import networks
from vitok_core.metrics.networks import NETWORKS, missing, weights_path
from vitok_core.objectives.perceptual import FeatureDistance, frames, open_perceptual

VGG, LITE = "lpips-vgg", "efficientnet-lite0"
# VGG-16's convolutions among torchvision's `features` (Simonyan & Zisserman 2015, column D).
CONVOLUTIONS = {
    0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256),
    14: (256, 256), 17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512),
    26: (512, 512), 28: (512, 512),
}  # fmt: skip
RELUS = (2, 7, 14, 21, 28)  # LPIPS looks after the activations of these


def pair(n: int = 2, height: int = 32, width: int = 40) -> tuple[Tensor, Tensor]:
    a, b = torch.rand(2, n, 3, height, width, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return a, b


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the names and shapes of torchvision's, convolutions only, drawn weights."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for i, (inputs, outputs) in CONVOLUTIONS.items():
        drawn = torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"features.{i}.weight"] = drawn * (2 / (9 * inputs)) ** 0.5
        state[f"features.{i}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def lpips_vgg(vgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureDistance:
    """The true loader, with that file's hash for the pinned one."""
    digest = hashlib.sha256(vgg.read_bytes()).hexdigest()
    table = {**NETWORKS, VGG: replace(NETWORKS[VGG], sha256=digest)}
    monkeypatch.setattr(networks, "NETWORKS", table)
    context = RecordingContext(tmp_path, paths=Paths(weights={VGG: str(vgg)}))
    found = open_perceptual(LossConfig(perceptual=VGG, perceptual_weight=1.0), context)
    assert isinstance(found, FeatureDistance)
    return found


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> FeatureDistance:
    context = RecordingContext(tmp_path_factory.mktemp("lite"))
    found = open_perceptual(LossConfig(perceptual=LITE, perceptual_weight=1.0), context)
    assert isinstance(found, FeatureDistance)
    return found


def plain_vgg(weights: Mapping[str, Tensor], frames: Tensor) -> list[Tensor]:
    """VGG-16 by torch's functions: the activations that LPIPS compares."""
    x, taken = frames, []
    for i in CONVOLUTIONS:
        if i in (5, 10, 17, 24):
            x = F.max_pool2d(x, 2)
        x = F.relu(
            F.conv2d(x, weights[f"features.{i}.weight"], weights[f"features.{i}.bias"], 1, 1)
        )
        if i in RELUS:
            taken.append(x)
    return taken


def test_lpips_is_that_of_its_authors_package(
    lpips_vgg: FeatureDistance, vgg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lpips

    class Plain(torch.nn.Module):
        """The package's trunk is replaced, for drawing its 138M weights takes seconds."""

        def __init__(self, pretrained: bool, requires_grad: bool) -> None:
            super().__init__()
            self.weights = torch.load(vgg, weights_only=True)

        def forward(self, x: Tensor) -> list[Tensor]:
            return plain_vgg(self.weights, x)

    monkeypatch.setattr(lpips.pn, "vgg16", Plain)
    theirs = lpips.LPIPS(net="vgg", verbose=False)
    a, b = pair()
    a.requires_grad_()
    wanted = theirs(a, b).flatten()
    (slope,) = torch.autograd.grad(wanted.sum(), a)
    found = lpips_vgg.distance(a, b)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), a)[0], slope)
    assert found.shape == (2,)
    assert lpips_vgg.name == VGG
    assert "LPIPS 0.1 (package 0.1.4), VGG-16" in lpips_vgg.protocol


@pytest.mark.slow
def test_the_whole_package_agrees(lpips_vgg: FeatureDistance, vgg: Path) -> None:
    import lpips

    theirs = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
    weights = torch.load(vgg, weights_only=True)
    names = list(theirs.net.state_dict())
    state = {name: weights[f"features.{name.partition('.')[2]}"] for name in names}
    theirs.net.load_state_dict(state)
    a, b = pair()
    torch.testing.assert_close(lpips_vgg.distance(a, b), theirs(a, b).flatten())


def test_the_pinned_hash_is_that_of_the_published_file() -> None:
    """torchvision's files carry the beginning of their hash in their names."""
    assert NETWORKS[VGG].file == "vgg16-397923af.pth"
    assert NETWORKS[VGG].sha256.startswith("397923af")
    assert len(NETWORKS[VGG].sha256) == 64


def test_weights_are_taken_from_hubs_cache_and_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, place in (("TORCH_HOME", ""), ("XDG_CACHE_HOME", "torch")):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert weights_path(NETWORKS[VGG], {}) is None
        reason = missing(VGG, {})
        assert reason is not None
        assert "not installed" in reason
        assert "https://download.pytorch.org/models/vgg16-397923af.pth" in reason
        assert f"weights.{VGG} in the site file" in reason
        cached = tmp_path / variable / place / "hub" / "checkpoints" / NETWORKS[VGG].file
        cached.parent.mkdir(parents=True)
        cached.write_bytes(b"other weights")
        assert weights_path(NETWORKS[VGG], {}) == cached
        assert str(torch.hub.get_dir()) == str(cached.parents[1])  # torch's own rule
        reason = missing(VGG, {})
        assert reason is not None
        assert "expected 397923af8e79…" in reason


def test_missing_weights_refuse_the_job(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path, paths=Paths(weights={VGG: str(tmp_path / "gone")}))
    with pytest.raises(UserError, match=r"gone does not exist.*site file"):
        open_perceptual(LossConfig(perceptual=VGG, perceptual_weight=1.0), context)


def test_a_loss_without_a_network_opens_none(tmp_path: Path) -> None:
    assert open_perceptual(LossConfig(), RecordingContext(tmp_path)) is None


def test_the_offline_distance_is_what_it_says(lite: FeatureDistance) -> None:
    """One minus torch's own cosine similarity."""
    a, b = pair(3, 64, 40)
    stretched = [F.interpolate(x, (64, 64), mode="bilinear") for x in (a, b)]
    network = lite.stages.network
    maps = [network.maps((x + 1) * 127.5) for x in stretched]  # type: ignore[operator, union-attr]
    assert [each.shape[1:] for each in maps[0]] == [
        (16, 32, 32), (24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2),
    ]  # fmt: skip
    similar = [F.cosine_similarity(x, y).mean((1, 2)) for x, y in zip(*maps, strict=True)]
    wanted = 1 - torch.stack(similar).mean(0)
    torch.testing.assert_close(lite.distance(a, b), wanted, rtol=1e-4, atol=1e-4)
    assert "LPIPS" not in lite.protocol
    assert lite.name == LITE


def test_its_gradient_is_right_and_reaches_the_output_alone(lite: FeatureDistance) -> None:
    a, b = pair(1, 16, 16)
    a.requires_grad_()
    b.requires_grad_()
    lite.distance(a, b).sum().backward()
    assert b.grad is None
    assert not any(p.requires_grad or p.grad is not None for p in lite.parameters())
    assert not lite.training
    with torch.no_grad():
        assert a.grad is not None
        step = 1e-3 * a.grad / a.grad.norm()
        change = (lite.distance(a + step, b) - lite.distance(a - step, b)) / 2
    assert float(change) == pytest.approx(1e-3 * float(a.grad.norm()), rel=0.02)


def test_equal_frames_are_at_no_distance_and_worse_ones_farther(lite: FeatureDistance) -> None:
    from vitok_core.data.opening import open_source
    from vitok_core.data.pixels import to_model
    from vitok_core.data.sampler import EvalCrops

    photos = to_model(EvalCrops(open_source("photos-tune", {}), 64, 8).samples(range(8)))
    assert float(lite.distance(photos, photos).max()) == 0.0
    blurred = [
        lite.distance(F.interpolate(F.avg_pool2d(photos, k), scale_factor=float(k)), photos)
        for k in (2, 4, 8)
    ]
    assert bool((blurred[0] < blurred[1]).all() and (blurred[1] < blurred[2]).all())


def test_half_precision_moves_it_little(lite: FeatureDistance) -> None:
    a, b = pair(2, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        half = lite.distance(a, b)
    assert half.dtype == torch.float32
    assert not torch.equal(half, lite.distance(a, b))
    torch.testing.assert_close(half, lite.distance(a, b), rtol=0.03, atol=0.0)


def test_frames_of_clips() -> None:
    clips = torch.arange(2 * 3 * 4 * 5 * 6).view(2, 3, 4, 5, 6)
    flat = frames(clips)
    assert torch.equal(flat[3], clips[1, :, 1])  # frame 1 of clip 1: first all first frames
