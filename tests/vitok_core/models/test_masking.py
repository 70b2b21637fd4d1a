"""Masked ViTok (§8.3): what is behind the kept length is gone."""

from __future__ import annotations

import pytest
import torch
from small_models import MASKED, clips, drawn, largest, normal, small
from torch.distributions import Normal, kl_divergence

from vitok_core.models.posterior import Posterior
from vitok_core.models.tubelets import Grid
from vitok_core.training.lengths import kept_lengths

CPU = torch.device("cpu")


@pytest.mark.parametrize("variant", MASKED)
@pytest.mark.parametrize("kept", [1, 3])  # 3 was never trained: any length decodes
def test_nothing_behind_the_kept_length_reaches_the_pixels(variant: str, kept: int) -> None:
    model = drawn(small(variant))
    tokens, channels = model.code_shape
    z = normal(2, tokens, channels)
    output = model.decode(z, kept=kept)
    lost = z.clone()
    lost[:, kept:] = torch.nan
    assert torch.equal(model.decode(lost, kept=kept), output)
    seen = z.clone()
    seen[:, kept - 1] += 1
    assert largest(model.decode(seen, kept=kept) - output) > 1e-4


@pytest.mark.parametrize("variant", MASKED)
def test_each_clip_has_its_own_length(variant: str) -> None:
    model, x = drawn(small(variant)), clips(3, 3, 1, 16, 16)
    lengths = [1, 4, 2]
    output, posterior = model(x, kept=torch.tensor(lengths))
    for clip, length in enumerate(lengths):
        alone = model.reconstruct(x[clip : clip + 1], kept=length)
        torch.testing.assert_close(output[clip : clip + 1], alone, atol=1e-5, rtol=1e-5)
        assert posterior.mask[clip].tolist() == [i < length for i in range(model.code_shape[0])]


@pytest.mark.parametrize("variant", MASKED)
def test_a_full_length_is_no_mask(variant: str) -> None:
    model, x = drawn(small(variant)), clips(2, 3, 1, 16, 16)
    assert torch.equal(model.reconstruct(x, kept=model.code_shape[0]), model.reconstruct(x))


@pytest.mark.parametrize("variant", MASKED)
def test_the_mask_token_is_learned(variant: str) -> None:
    model, x = drawn(small(variant)), clips(2, 3, 1, 16, 16)
    assert model.masking is not None
    output, _ = model(x, kept=torch.tensor([1, 2]))
    (output - x).square().mean().backward()
    assert float(model.masking.token.grad.abs().min()) > 0  # type: ignore[union-attr]
    with torch.no_grad():
        model.masking.token += 1
    assert largest(model.reconstruct(x, 1) - model.reconstruct(x)) > 1e-3


@pytest.mark.parametrize("variant", ["simple", "latent"])
def test_other_variants_have_no_lengths(variant: str) -> None:
    with pytest.raises(ValueError, match=f"variant {variant} decodes its whole code"):
        drawn(small(variant)).reconstruct(clips(1, 3, 1, 16, 16), kept=2)


def test_the_rate_is_that_of_the_kept_tokens() -> None:
    mean, logvar = normal(3, 4, 2), normal(3, 4, 2, seed=3)
    elements = kl_divergence(Normal(mean, (logvar / 2).exp()), Normal(0.0, 1.0))
    lengths = [1, 4, 2]
    posterior = Posterior(mean, logvar, Grid(1, 2, 2), torch.tensor(lengths))
    each = [elements[clip, :length].mean() for clip, length in enumerate(lengths)]
    torch.testing.assert_close(posterior.kl_mean(), torch.stack(each))
    sums = [elements[clip, :length].sum() for clip, length in enumerate(lengths)]
    torch.testing.assert_close(posterior.kl().sum((1, 2)), torch.stack(sums))
    torch.testing.assert_close(posterior.keep(None).kl_mean(), elements.mean((1, 2)))
    torch.testing.assert_close(posterior.keep(2).kl_mean(), elements[:, :2].mean((1, 2)))


def test_masked_positions_have_no_gradient() -> None:
    mean = normal(1, 4, 2).requires_grad_()
    Posterior(mean, torch.zeros(1, 4, 2), Grid(1, 2, 2), 3).kl_mean().sum().backward()
    torch.testing.assert_close(mean.grad[:, :3], mean.detach()[:, :3] / 6)  # type: ignore[index]
    assert (mean.grad[:, 3] == 0).all()  # type: ignore[index]


def test_lengths_are_drawn_evenly_by_sample() -> None:
    drawn_lengths = kept_lengths((32, 64, 128, 256), 0, range(2000), CPU)
    assert drawn_lengths is not None
    values, counts = drawn_lengths.unique(return_counts=True)
    assert values.tolist() == [32, 64, 128, 256]
    assert ((counts - 500).abs() < 100).all()  # 5 standard deviations
    part = kept_lengths((32, 64, 128, 256), 0, range(700, 710), CPU)
    assert torch.equal(part, drawn_lengths[700:710])  # type: ignore[arg-type]
    other = kept_lengths((32, 64, 128, 256), 1, range(2000), CPU)
    assert not torch.equal(other, drawn_lengths)  # type: ignore[arg-type]
    assert kept_lengths((), 0, range(3), CPU) is None
