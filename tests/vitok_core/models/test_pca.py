from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from vitok_core.config import TokenizerConfig
from vitok_core.models.initialise import init_pca, pca_rank
from vitok_core.models.pca import Pca, fit_pca
from vitok_core.models.tokenizer import ViTok
from vitok_core.models.tubelets import from_tubelets, to_tubelets
from vitok_core.variants import Tower


def patches(n: int, values: int) -> torch.Tensor:
    """Patches whose spectrum falls as that of photos does."""
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(values, values, generator=generator))
    spread = torch.arange(1, values + 1) ** -0.8
    return torch.randn(n, values, generator=generator) * spread @ basis + 0.1


@pytest.mark.parametrize("values", [48, 1100])
def test_components_are_those_of_scikit_learn(values: int) -> None:
    x = patches(800, values)
    ours = fit_pca(x, rank=16)
    theirs = PCA(16, svd_solver="full").fit(x.double().numpy())
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-6)
    variances = theirs.explained_variance_ * 799 / 800
    np.testing.assert_allclose(ours.variances, variances, rtol=1e-3)
    overlap = np.linalg.svd(ours.components.numpy() @ theirs.components_.T, compute_uv=False)
    assert overlap.min() > 0.99
    error = (ours.reconstruct(x.double(), 16) - x).square().mean()
    best = np.square(theirs.inverse_transform(theirs.transform(x.double())) - x.numpy()).mean()
    assert float(error) == pytest.approx(best, rel=1e-4)


def test_the_fit_is_deterministic_and_orthonormal() -> None:
    x = patches(300, 1100)
    first, second = fit_pca(x, 20), fit_pca(x, 20)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    gram = first.components @ first.components.T
    torch.testing.assert_close(gram, torch.eye(20, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize(("width", "channels"), [(48, 16), (256, 16), (48, 48)])
def test_the_pca_start_is_the_pca_code(width: int, channels: int) -> None:
    tower = Tower(width=width, blocks=2, heads=2)
    config = TokenizerConfig(
        encoder=tower, decoder=Tower(width=64, blocks=1, heads=2), patch=8, channels=channels,
        init="pca", final_norm=False,
    )  # fmt: skip
    model = ViTok(config, 1, 16)
    x = from_tubelets(patches(40, 192).view(10, 4, 192), model.grid, 1, 8)
    tubelets = to_tubelets(x, 1, 8).flatten(0, 1)
    pca = fit_pca(tubelets.repeat(5, 1), pca_rank(model))
    init_pca(model, pca, torch.Generator().manual_seed(0))
    expected = pca.reconstruct(tubelets.double(), channels).view(10, 4, 192).float()
    output = to_tubelets(model.reconstruct(x), 1, 8)
    torch.testing.assert_close(output, expected, atol=2e-5, rtol=1e-4)


def test_the_codes_channels_start_with_unit_variance() -> None:
    tower = Tower(width=64, blocks=1, heads=2)
    config = TokenizerConfig(
        encoder=tower, decoder=tower, patch=8, channels=16, init="pca", final_norm=False
    )
    model = ViTok(config, 1, 16)
    x = patches(4000, 192)
    pca: Pca = fit_pca(x, pca_rank(model))
    init_pca(model, pca, torch.Generator().manual_seed(0))
    clips = from_tubelets(x.view(1000, 4, 192), model.grid, 1, 8)
    mean = model.encode(clips).mean.flatten(0, 1)
    torch.testing.assert_close(mean.var(0), torch.ones(16), atol=1e-2, rtol=0)
