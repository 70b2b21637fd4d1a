"""Small tokenizers of every variant, for the tests of the models."""

from __future__ import annotations

from typing import Any

import torch

from vitok_core.config import TokenizerConfig
from vitok_core.models.build import build_tokenizer
from vitok_core.models.initialise import init_standard
from vitok_core.models.tokenizer import ViTok
from vitok_core.variants import Tower

# What each variant adds to a configuration. At 16 px and p = 8 an image has 4 tubelets.
VARIANTS: dict[str, dict[str, Any]] = {
    "simple": {},
    "latent": {"latents": 6},
    "mask_simple": {"lengths": (1, 2, 4)},
    "mask_latent": {"latents": 6, "lengths": (1, 2, 4)},
}
LATENT = [name for name, fields in VARIANTS.items() if "latents" in fields]
MASKED = [name for name, fields in VARIANTS.items() if "lengths" in fields]


def small(variant: str, **fields: Any) -> TokenizerConfig:
    """A configuration whose two towers differ in width, blocks and heads."""
    given = {
        "encoder": Tower(width=24, blocks=1, heads=2),
        "decoder": Tower(width=36, blocks=2, heads=3),
        "patch": 8,
        "channels": 4,
        **VARIANTS[variant],
    }
    return TokenizerConfig(variant=variant, **{**given, **fields})  # type: ignore[arg-type]


def drawn(config: TokenizerConfig, frames: int = 1, resolution: int = 16) -> ViTok:
    """The model of `config`, initialised from seed 0."""
    model = build_tokenizer(config, frames, resolution)
    init_standard(model, torch.Generator().manual_seed(0))
    return model


def clips(*shape: int, seed: int = 1) -> torch.Tensor:
    """Random clips in [-1, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def normal(*shape: int, seed: int = 2) -> torch.Tensor:
    """Standard normal noise."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def largest(difference: torch.Tensor) -> float:
    """The largest absolute value."""
    return float(difference.detach().abs().max())
