"""EfficientNet-Lite0 knows real photographs, and its folded form is the plain network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from vitok_core.data.manifest import FOLDER
from vitok_core.metrics.efficientnet import CLASSES, INPUT, STAGE_WIDTH, WIDTH, EfficientNetLite0
from vitok_core.metrics.efficientnet import load as load_network
from vitok_core.metrics.networks import NETWORKS, weights_path

# Classes of ILSVRC 2012 by index: the domestic cats, espresso and cup, and so on.
KNOWN = {
    "chelsea": {281, 282, 283, 284, 285},
    "coffee": {967, 968},
    "jaguar": {290},
    "polar-bear": {296},
    "panda": {388},
    "koala": {105},
    "scarlet-macaw": {88},
    "bison": {347},
    "pontdu-gard": {888},  # viaduct
    "lemur": {383},
}

# EfficientNet-B0 (Tan & Le 2019, Table 1): kernel, stride, repeats of each stage.
STAGES = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))


@pytest.fixture(scope="module")
def path() -> Path:
    found = weights_path(NETWORKS["efficientnet-lite0"], {})
    assert found is not None
    return found


@pytest.fixture(scope="module")
def network(path: Path) -> EfficientNetLite0:
    return load_network(path)


def centre_crop(name: str) -> Tensor:
    """The largest central square of an embedded photo at 224 px, (3, 224, 224) uint8."""
    with Image.open(FOLDER / f"{name}.jpg") as photo:
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        square = photo.convert("RGB").crop((left, top, left + side, top + side))
    small = np.array(square.resize((INPUT, INPUT), Image.Resampling.BICUBIC))
    return torch.from_numpy(small).permute(2, 0, 1)


def test_it_knows_what_photographs_show(network: EfficientNetLite0) -> None:
    logits = network(torch.stack([centre_crop(name) for name in KNOWN])).logits
    for (name, classes), found in zip(KNOWN.items(), logits.argmax(1).tolist(), strict=True):
        assert found in classes, name


def plain(weights: Mapping[str, Tensor], images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The network as published, in float64: SAME padding, batch norm after every convolution."""
    w = {name: tensor.double() for name, tensor in weights.items()}

    def layer(x: Tensor, conv: str, norm: str, stride: int = 1, act: bool = True) -> Tensor:
        kernel = w[f"{conv}.weight"]
        k, groups = kernel.shape[-1], x.shape[1] // kernel.shape[1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + k - x.shape[-1], 0)
        before, after = total // 2, total - total // 2
        x = F.conv2d(F.pad(x, (before, after, before, after)), kernel, None, stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        x = F.batch_norm(x, *(w[f"{norm}.{each}"] for each in names), eps=1e-3)
        return F.relu6(x) if act else x

    x = layer((images.double() - 127) / 128, "_conv_stem", "_bn0", 2)
    index = 0
    for stage, (kernel, first, repeats) in enumerate(STAGES):
        for repeat in range(repeats):
            name = f"_blocks.{index}."
            y = layer(x, f"{name}_expand_conv", f"{name}_bn0") if stage else x
            assert w[f"{name}_depthwise_conv.weight"].shape[-1] == kernel
            stride = first if repeat == 0 else 1
            y = layer(y, f"{name}_depthwise_conv", f"{name}_bn1", stride)
            y = layer(y, f"{name}_project_conv", f"{name}_bn2", act=False)
            x = y + x if repeat else y
            index += 1
        if x.shape[1] == STAGE_WIDTH:
            middle = x.mean((2, 3))
            assert x.shape[-1] == 14
    features = layer(x, "_conv_head", "_bn1").mean((2, 3))
    return features, middle, F.linear(features, w["_fc.weight"], w["_fc.bias"])


def outputs(network: EfficientNetLite0, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features, stage and logits."""
    found = network(images)
    assert list(found.layers) == ["", "112"]
    return (*found.layers.values(), found.logits)


@torch.inference_mode()
def test_folding_changes_nothing(path: Path, network: EfficientNetLite0) -> None:
    noise = torch.randint(0, 256, (3, INPUT, INPUT), generator=torch.Generator().manual_seed(0))
    images = torch.stack([noise.to(torch.uint8), centre_crop("koala")])
    expected = plain(torch.load(path, weights_only=True), images)
    for found, wanted in zip(outputs(network, images), expected, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)


def test_shapes_and_inputs(network: EfficientNetLite0) -> None:
    images = torch.stack([centre_crop("panda"), centre_crop("coffee"), centre_crop("bison")])
    found = outputs(network, images)
    assert [each.shape for each in found] == [(3, WIDTH), (3, STAGE_WIDTH), (3, CLASSES)]
    assert not any(parameter.requires_grad for parameter in network.parameters())
    for whole, again, alone in zip(
        found, outputs(network, images.float()), outputs(network, images[1:2]), strict=True
    ):
        torch.testing.assert_close(again, whole)
        torch.testing.assert_close(alone, whole[1:2], rtol=1e-4, atol=1e-4)
