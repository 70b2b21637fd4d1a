"""Explicit initialisation of a ViTok: nothing is left to the library's defaults.

`standard`: Xavier-uniform weights, zero biases, as in the authors' released code; latent tokens
start as 1D sin-cos (§8.3). `pca`: the model IS the PCA code of its training patches at step 0, and
training can only go on from there: a recipe for toy scale, where a few hundred steps from a random
start do not reach the linear optimum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vitok_core.models.latent import LatentViTok, sincos
from vitok_core.models.masking import CodeMask
from vitok_core.models.pca import Pca
from vitok_core.models.tokenizer import ViTok

# The posterior starts nearly deterministic: noise of this log-variance on codes of unit variance is
# far below the reconstruction error even at the largest codes (p8 c64).
PCA_LOGVAR = -10.0


@torch.no_grad()
def init_standard(model: ViTok, generator: torch.Generator) -> None:
    """Xavier-uniform linear maps, zero biases, unit norms (§2.1; released code); learned tokens.

    Mask tokens are drawn with unit variance: a tower's first norm divides the gradient by the size
    of its token, and a zero or tiny mask token would drown all other gradients.

    Raises TypeError for a module with parameters of its own that it does not know.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, LatentViTok):
            _init_tokens(module, generator)
        elif isinstance(module, CodeMask):
            nn.init.normal_(module.token, generator=generator)  # like a token of the prior
        elif any(True for _ in module.parameters(recurse=False)):
            raise TypeError(f"no initialisation is known for {type(module).__name__}")


def _init_tokens(model: LatentViTok, generator: torch.Generator) -> None:
    """Sin-cos latent tokens (§8.3) and places of the code; a mask token of unit variance."""
    for parameter in (model.latents, model.code_positions):
        parameter.copy_(sincos(*parameter.shape))
    nn.init.normal_(model.mask_token, generator=generator)


@torch.no_grad()
def init_pca(model: ViTok, pca: Pca, generator: torch.Generator) -> None:
    """Make `model` the PCA code with its c channels; the blocks' weights are drawn as in standard.

    Channel j of both streams is principal component j divided by the square root of its standard
    deviation (all by one factor more, for a mean square of 1); the code's channels have variance 1.
    Half-whitening is a compromise: optimizer steps on fully whitened channels disturb the strong
    components, and without whitening a LayerNorm sees little but the first.

    The encoder's stream carries as many components as fit, the first c become the code; the
    decoder's unembedding knows as many, so that a block adds a missing component by writing to its
    channel. `pca` must hold at least c components.
    """
    init_standard(model, generator)
    model.zero_branches()
    channels, spread = model.config.channels, _spread(pca)  # (k,)
    gain = spread.rsqrt()
    gain /= (gain * spread).square().mean().sqrt()
    analysis = pca.components * gain[:, None]  # (k, v): patch → stream
    synthesis = pca.components / gain[:, None]  # (k, v): stream → patch
    code = (gain * spread)[:channels]  # stream's deviation, where the code's is 1

    _fill(model.embed, analysis, -(analysis @ pca.mean))
    _fill(model.moments, torch.diag(1 / code))
    model.moments.bias[channels:] = PCA_LOGVAR
    _fill(model.from_code, torch.diag(code))
    _fill(model.unembed, synthesis.T, pca.mean)


def pca_rank(model: ViTok) -> int:
    """How many components `init_pca` can use: as many as the wider stream carries."""
    config = model.config
    return min(model.embed.in_features, max(config.encoder.width, config.decoder.width))


def _spread(pca: Pca) -> Tensor:
    """Standard deviation of each component (k,), kept off zero for those that the data lacks."""
    return pca.variances.clamp(min=1e-12 * float(pca.variances[0])).sqrt()


def _fill(linear: nn.Linear, weight: Tensor, bias: Tensor | None = None) -> None:
    """Set the top left of `linear` to as much of `weight` as fits; all else becomes zero."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    rows = min(linear.out_features, weight.shape[0])
    columns = min(linear.in_features, weight.shape[1])
    linear.weight[:rows, :columns] = weight[:rows, :columns].to(linear.weight)
    if bias is not None:
        linear.bias[:rows] = bias[:rows].to(linear.bias)
