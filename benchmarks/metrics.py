"""Scores beside their peers: Fréchet distance, SSIM, and what set scores add to their network.

`python benchmarks/metrics.py` prints these rows alone; `--threads 2` on two threads. Equal values
are asserted before times are taken. Peers are timed where they are installed
(`pip install -e ".[bench]"`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from timing import Row, compare
from torch import Tensor

from vitok_core.config import EvaluationConfig
from vitok_core.context import Machine
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.health.bench import Bench
from vitok_core.metrics.features import MICRO_BATCH, Extractor, FeatureNetwork
from vitok_core.metrics.frechet import Moments, frechet_distance
from vitok_core.metrics.inception import Inception2015
from vitok_core.metrics.networks import NETWORKS, open_network
from vitok_core.metrics.pixels import ssim
from vitok_core.metrics.sets import Gathered
from vitok_core.metrics.views import view_of

WIDTH = 2048
IMAGES, SIDE = 16, 256
Array = NDArray[np.float64]


def measure() -> Iterator[Row]:
    """All rows, one by one."""
    yield frechet(4 * WIDTH, 3)
    yield frechet(1000, 3)
    images = EvalCrops(open_source("photos-tune", {}), SIDE, IMAGES).samples(range(IMAGES))
    yield from structure(images)
    yield extraction(
        "efficientnet-lite0", open_network("efficientnet-lite0", "features", {}), images
    )
    yield extraction("inception-2015", Inception2015(), images[:8])
    yield moments(2 * WIDTH)


def frechet(samples: int, rounds: int) -> Row:
    """From the features' moments to the distance, as each has them at hand."""
    sets = [_features(samples, seed) for seed in (0, 1)]
    streamed = []
    for features in sets:
        gathered = Moments(WIDTH)
        gathered.add(features)
        streamed.append(gathered)
    pairs = [(x.mean(0), np.cov(x, rowvar=False)) for x in sets]

    def ours() -> float:
        if samples > WIDTH:
            return frechet_distance(*pairs[0], *pairs[1])
        return streamed[0].gaussian.distance(streamed[1].gaussian)

    def peer() -> float:
        (mean_a, cov_a), (mean_b, cov_b) = pairs
        root = scipy.linalg.sqrtm(cov_a @ cov_b).real
        shift = mean_a - mean_b
        return float(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(root))

    assert abs(ours() / peer() - 1) < 1e-6
    what = f"Fréchet distance, {WIDTH}-d, {samples:,} samples"
    return compare(what, rounds, eigenvalues=ours, scipy_sqrtm=peer)


def _features(samples: int, seed: int) -> Array:
    """With a spectrum that falls over two decades, as networks' do."""
    random = np.random.default_rng(seed)
    return random.normal(size=(samples, WIDTH)) * np.logspace(0, -1, WIDTH) + 0.01 * seed


def structure(images: Tensor) -> Iterator[Row]:
    """SSIM beside scikit-image, and beside torchmetrics with its borders cut off."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    rebuilt = (images + 12 * noise).round().clamp(0, 255).to(torch.uint8)
    what = f"SSIM, {len(images)} images of {SIDE} px"

    def ours() -> float:
        return float(ssim(rebuilt, images).mean())

    if find_spec("skimage"):
        from skimage.metrics import structural_similarity

        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        pairs = list(zip(images.numpy(), rebuilt.numpy(), strict=True))

        def scikit() -> float:
            found = [
                structural_similarity(a, b, channel_axis=0, data_range=255, **settings)
                for a, b in pairs
            ]
            return float(np.mean(found))

        assert abs(ours() - scikit()) < 1e-5
        yield compare(what, 5, ours=ours, scikit_image=scikit)
    if find_spec("torchmetrics"):
        from torchmetrics.functional.image import structural_similarity_index_measure

        def torchmetrics() -> float:
            x, y = rebuilt.float() / 255, images.float() / 255
            _, whole = structural_similarity_index_measure(
                x, y, sigma=1.5, data_range=1.0, return_full_image=True
            )
            return float(whole[..., 5:-5, 5:-5].mean())

        assert abs(ours() - torchmetrics()) < 1e-4
        yield compare(what, 5, ours=ours, torchmetrics=torchmetrics)


def extraction(name: str, network: FeatureNetwork, images: Tensor) -> Row:
    """All that a job does with images for FD and IS; beside the network on prepared inputs.

    Both in the same micro-batches. What comes once in many images, merging moments, is `moments`.
    """
    inputs = [network.prepare(batch) for batch in images.split(MICRO_BATCH)]
    extractor = Extractor(NETWORKS[name], network, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        view = view_of(extractor, EvaluationConfig())
        gathered = Gathered(view, Bench(Path(folder), Machine()), len(images), splits=1)
    what = f"{name}: features of {len(images)} images of {SIDE} px"
    return compare(
        what,
        9,
        gathered=lambda: gathered.add(gathered.look(images)),
        bare_forward=lambda: [network(each) for each in inputs],
    )


def moments(samples: int) -> Row:
    """Of float32 features in batches of 16, as they arrive; beside all of them at once."""
    batches = np.split(_features(samples, 0).astype(np.float32), samples // 16)

    def ours() -> Array:
        gathered = Moments(WIDTH)
        for batch in batches:
            gathered.add(batch)
        return gathered.covariance

    def peer() -> Array:
        return np.asarray(np.cov(np.concatenate(batches), rowvar=False, dtype=np.float64))

    np.testing.assert_allclose(ours(), peer(), rtol=0, atol=1e-12)
    what = f"mean and covariance of {samples:,} features of width {WIDTH}"
    return compare(what, 5, streamed=ours, numpy_cov=peer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    torch.set_num_threads(parser.parse_args().threads)
    for row in measure():
        print(row.markdown(), flush=True)


if __name__ == "__main__":
    main()
