"""DINOv2 against values of its own code, CLIP's tower against torch-fidelity's."""

from __future__ import annotations

from pathlib import Path

import madeweights
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.feature_extractor_clip import VisionTransformer

from vitok_core.metrics import clip
from vitok_core.metrics.clip import Clip
from vitok_core.metrics.dinov2 import DinoV2
from vitok_core.metrics.resize import bicubic

NOISE = torch.from_numpy(
    np.random.RandomState(1).randint(0, 256, (2, 3, 224, 224)).astype(np.uint8)
)


def dinov2_shapes(width: int, depth: int) -> dict[str, tuple[int, ...]]:
    block = {
        "norm1.weight": (width,), "norm1.bias": (width,),
        "attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,),
        "attn.proj.weight": (width, width), "attn.proj.bias": (width,),
        "ls1.gamma": (width,),
        "norm2.weight": (width,), "norm2.bias": (width,),
        "mlp.fc1.weight": (4 * width, width), "mlp.fc1.bias": (4 * width,),
        "mlp.fc2.weight": (width, 4 * width), "mlp.fc2.bias": (width,),
        "ls2.gamma": (width,),
    }  # fmt: skip
    return {
        "cls_token": (1, 1, width),
        "mask_token": (1, width),
        "pos_embed": (1, 1 + 37 * 37, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        **{f"blocks.{i}.{name}": shape for i in range(depth) for name, shape in block.items()},
    }


# Of facebookresearch/dinov2's DinoVisionTransformer (img_size 518, patch 14, width 128, two blocks,
# two heads, init_values 1, interpolate_offset 0.1) with these weights on these images.
DINOV2 = [
    [0.6759116649627686, 1.1964083909988403, -0.1696975976228714, 0.024620013311505318],
    [0.623949408531189, 1.199488639831543, -0.1660938262939453, 0.027489546686410904],
]


def test_dinov2_is_its_authors() -> None:
    network = DinoV2(madeweights.drawn(dinov2_shapes(128, 2)))
    features = network(network.prepare(NOISE)).layers[""]
    assert features.shape == (2, 128)
    torch.testing.assert_close(features[:, :4], torch.tensor(DINOV2), rtol=1e-4, atol=1e-4)


def test_the_large_dinov2_has_its_size() -> None:
    with torch.device("meta"):
        shapes = dinov2_shapes(1024, 24)
        network = DinoV2({name: torch.empty(shape) for name, shape in shapes.items()})
        assert network(torch.empty(1, 3, 224, 224)).layers[""].shape == (1, 1024)
    assert network.layers == {"": 1024}
    stretched = (37 * 37 - 16 * 16) * 1024
    # The model card's 304 M, whose mask token is never seen.
    assert sum(p.numel() for p in network.parameters()) + stretched + 1024 == 304_368_640


def clip_weights(width: int, depth: int, size: int, output: int) -> dict[str, Tensor]:
    tower = VisionTransformer(size, 14, width, depth, width // 64, output)
    shapes = {name: tuple(value.shape) for name, value in tower.state_dict().items()}
    return madeweights.drawn(shapes)


def test_clips_tower_is_torch_fidelitys(tmp_path: Path) -> None:
    weights = clip_weights(128, 2, 56, 32)
    tower = VisionTransformer(56, 14, 128, 2, 2, 32)
    tower.load_state_dict(weights)
    path = tmp_path / "clip.pt"
    text = {"token_embedding.weight": torch.zeros(3, 5), "logit_scale": torch.zeros(())}
    torch.save({**{f"visual.{k}": v for k, v in weights.items()}, **text}, path)
    network = clip.load(path)
    assert (network.size, network.layers, network.prepared) == (56, {"": 32}, "56px bicubic")
    x = network.prepare(NOISE)
    assert x.shape == (2, 3, 56, 56)
    with torch.no_grad():
        expected = tower(x)
    torch.testing.assert_close(network(x).layers[""], expected, rtol=1e-4, atol=1e-4)


# Green of the first row, by jax 0.10.2 as in CMMD's code: image.resize(images, shape, "bicubic").
JAX = {
    21: [179.113, 170.521, 97.954, 40.372, 161.354],
    9: [132.953, 122.836, 109.014, 160.875, 126.519],
}


def test_clip_sees_images_resized_as_cmmds_authors_do() -> None:
    images = NOISE[:1, :, :16, :16]
    for size, expected in JAX.items():
        found = bicubic(images, size, rounded=False)
        assert found[0, 1, 0, :5].tolist() == pytest.approx(expected, abs=2e-3)
    weights = {f"visual.{name}": value for name, value in clip_weights(64, 1, 28, 8).items()}
    network = Clip(weights)
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (clip._MEAN, clip._DEVIATION))
    seen = (network.prepare(images) * deviation + mean) * 255
    torch.testing.assert_close(seen, bicubic(images, 28, rounded=False), rtol=0, atol=1e-3)
    assert float(seen.min()) < -1, "it leaves the range where the filter does"


def test_clip_as_a_script(tmp_path: Path) -> None:
    """OpenAI's files are TorchScript archives in half precision."""

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = VisionTransformer(28, 14, 64, 1, 1, 8)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.visual.proj.sum()

    path = tmp_path / "ViT-tiny.pt"
    torch.jit.trace(Model().half(), torch.zeros(1)).save(path)
    network = clip.load(path)
    assert network.size == 28
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_the_large_clip_has_its_size() -> None:
    with torch.device("meta"):
        tower = VisionTransformer(336, 14, 1024, 24, 16, 768)
        weights = {f"visual.{name}": value for name, value in tower.state_dict().items()}
        network = Clip(weights)
        assert network(torch.empty(1, 3, 336, 336)).layers[""].shape == (1, 768)
    assert (network.size, network.layers) == (336, {"": 768})
