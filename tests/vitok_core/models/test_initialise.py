"""Nothing of a model is left to a library's defaults."""

from __future__ import annotations

import pytest
import torch
from small_models import VARIANTS, small
from torch import nn

from vitok_core.models.build import build_tokenizer
from vitok_core.models.initialise import init_standard


@pytest.mark.parametrize("final_norm", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_is_set(variant: str, final_norm: bool) -> None:
    model = build_tokenizer(small(variant, final_norm=final_norm), 1, 16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    init_standard(model, torch.Generator().manual_seed(0))
    unset = [name for name, each in model.named_parameters() if each.isnan().any()]
    assert unset == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_start_is_the_seeds_alone(variant: str) -> None:
    states = []
    for outside, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(outside)
        model = build_tokenizer(small(variant), 1, 16)
        init_standard(model, torch.Generator().manual_seed(seed))
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[1]["embed.weight"], states[2]["embed.weight"])


def test_an_unknown_module_is_not_passed_over() -> None:
    model = build_tokenizer(small("simple"), 1, 16)
    model.add_module("extra", nn.Conv2d(1, 1, 1))
    with pytest.raises(TypeError, match="Conv2d"):
        init_standard(model, torch.Generator())


def test_variants_without_their_tokens_are_the_simple_model() -> None:
    """The names in a checkpoint: those of the simple variant are in every other."""
    simple = set(build_tokenizer(small("simple"), 1, 16).state_dict())
    added = {
        variant: set(build_tokenizer(small(variant), 1, 16).state_dict()) - simple
        for variant in VARIANTS
    }
    latent = {"latents", "code_positions", "mask_token"}
    assert added == {
        "simple": set(),
        "latent": latent,
        "mask_simple": {"masking.token"},
        "mask_latent": latent | {"masking.token"},
    }
