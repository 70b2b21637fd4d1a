"""CLIP's image tower ViT-L/14 at 336 px, the network of CMMD (Jayasumana et al. 2024)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from vitok_core.metrics.features import Outputs
from vitok_core.metrics.resize import bicubic
from vitok_core.metrics.vit import ViT, normalised, renamed

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)

_PREFIX = "visual."
_NAMES = {
    _PREFIX: "",
    "class_embedding": "token",
    "positional_embedding": "positions",
    "conv1": "patch",
    "ln_pre": "before",
    "ln_post": "norm",
    "transformer.resblocks": "blocks",
    ".attn.in_proj_": ".qkv.",
    ".attn.out_proj": ".project",
    ".ln_": ".norm",
    ".mlp.c_fc": ".fc1",
    ".mlp.c_proj": ".fc2",
}


class Clip(nn.Module):
    """The projected class token, before it is scaled to length 1; evaluation only."""

    classes = None

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        own = renamed({k: v for k, v in weights.items() if k.startswith(_PREFIX)}, _NAMES)
        self.projection = nn.Parameter(own.pop("proj"))  # (d, width)
        self.size = own["patch.weight"].shape[-1] * round((len(own["positions"]) - 1) ** 0.5)
        self.vit = ViT(own, "clip")
        self.layers = {"": self.projection.shape[1]}
        self.prepared = f"{self.size}px bicubic"
        self.eval().requires_grad_(False)

    def prepare(self, images: Tensor) -> Tensor:
        """Images (b, 3, h, w) uint8 at 336×336 px, normalised as CLIP's; not rounded, as CMMD's
        authors have them."""
        return normalised(bicubic(images, self.size, rounded=False), _MEAN, _DEVIATION)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Outputs:
        """Look at prepared images (b, 3, 336, 336)."""
        return Outputs({"": self.vit(x) @ self.projection})


def load(path: Path) -> Clip:
    """The network with the weights of `path`: OpenAI's TorchScript archive, or a state dict."""
    with zipfile.ZipFile(path) as archive:
        scripted = any("/code/" in name for name in archive.namelist())
    if scripted:  # opened only after its hash was compared with the pinned one
        archive_of = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        weights = archive_of.state_dict()
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    return Clip(weights)
