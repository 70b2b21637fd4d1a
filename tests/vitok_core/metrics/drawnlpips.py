"""LPIPS by its authors' package over a trunk of drawn weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import lpips
import torch


def drawn_lpips(path: Path) -> lpips.LPIPS:
    """Their model with their heads; the trunk's weights are left at `path`, named as torchvision's.

    The model is made without weights: to draw the whole of VGG-16, which it does, takes seconds.
    """
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", UserWarning)
        model = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
    draws = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(each.shape, generator=draws) * (2 / each[0].numel()) ** 0.5
        if each.ndim == 4
        else 0.1 * torch.randn(each.shape, generator=draws)
        for name, each in model.net.state_dict().items()
    }
    model.net.load_state_dict(state, assign=True)
    beside = Path(lpips.__file__).parent / "weights/v0.1/vgg.pth"
    heads = torch.load(beside, map_location="cpu", weights_only=True)
    for i, lin in enumerate(model.lins):
        lin.load_state_dict({"model.1.weight": heads[f"lin{i}.model.1.weight"]}, assign=True)
    model.scaling_layer = lpips.ScalingLayer()
    torch.save({f"features.{name.partition('.')[2]}": each for name, each in state.items()}, path)
    return model.eval().requires_grad_(False)
