"""From a configuration to its model."""

from __future__ import annotations

from vitok_core import plugins
from vitok_core.config import TokenizerConfig
from vitok_core.errors import UserError
from vitok_core.models.autoencoder import AutoEncoder
from vitok_core.models.latent import LatentViTok
from vitok_core.models.tokenizer import ViTok


def build_tokenizer(config: TokenizerConfig, frames: int, resolution: int) -> AutoEncoder:
    """The tokenizer of a configuration, for clips of that size.

    The weights of a ViTok are not set yet: `models.initialise` does that, or a checkpoint. Those
    of a class of the user's own are drawn from torch's generator. Under `torch.device("meta")`
    nothing is allocated.

    Raises:
        UserError: the class is not there, of another source than was planned, or no `AutoEncoder`.
    """
    if config.class_ is not None:
        made = plugins.load(config.class_, config.class_sha256)(config, frames, resolution)
        if not isinstance(made, AutoEncoder):
            base = f"{AutoEncoder.__module__}.{AutoEncoder.__name__}"
            raise UserError(f"{config.class_} must derive from {base}")
        return made
    kind = ViTok if config.latents is None else LatentViTok
    return kind(config, frames, resolution)
