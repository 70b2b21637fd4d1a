"""From a configuration to its model."""

from __future__ import annotations

from vitok_core.config import TokenizerConfig
from vitok_core.models.latent import LatentViTok
from vitok_core.models.tokenizer import ViTok


def build_tokenizer(config: TokenizerConfig, frames: int, resolution: int) -> ViTok:
    """The tokenizer of `config.variant` for clips of that size; its weights are not set yet.

    `models.initialise` sets them, or a checkpoint does. Under `torch.device("meta")` nothing is
    allocated.
    """
    kind = ViTok if config.latents is None else LatentViTok
    return kind(config, frames, resolution)
