"""The paper's printed parameters and GFLOPs, to the digit (Tables 1, 3, 4, 5); the models' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitok_core.config import TokenizerConfig
from vitok_core.cost import (
    Shape,
    decoder_macs,
    encoder_macs,
    tokenizer_macs,
    tokenizer_parameters,
    tower_parameters,
    vgg16_macs,
)
from vitok_core.models.build import build_tokenizer
from vitok_core.models.tokenizer import ViTok
from vitok_core.variants import SIZES, Tower

S, B, L = SIZES["S"], SIZES["B"], SIZES["L"]


def block_parameters(tower: Tower) -> int:
    """Those of all blocks of a tower: what as many blocks more add to an auto-encoder."""
    double = tower.model_copy(update={"blocks": 2 * tower.blocks})
    shape = Shape(256, 16, 16)
    return tokenizer_parameters(double, B, shape) - tokenizer_parameters(tower, B, shape)


def tower_macs(tower: Tower, resolution: int = 256) -> int:
    """Table 1's count: blocks and 16×16 patch embedding, no code."""
    return encoder_macs(tower, Shape(resolution, 16, channels=0))


@pytest.mark.parametrize(
    ("size", "parameters", "gflops", "printed"),
    [
        ("S", 43.316, 11.638, (43.3, 11.6)),
        ("B", 85.843, 23.126, (85.8, 23.1)),
        ("L", 383.748, 101.766, (383.7, 101.8)),
    ],
)
def test_table_1(size: str, parameters: float, gflops: float, printed: tuple[float, float]) -> None:
    counted = tower_parameters(SIZES[size]) / 1e6, tower_macs(SIZES[size]) / 1e9
    assert tuple(round(each, 3) for each in counted) == (parameters, gflops)
    assert tuple(round(each, 1) for each in counted) == printed


@pytest.mark.parametrize(
    ("towers", "shape", "parameters", "gflops"),
    [
        ((S, B), Shape(256, 16, 16), 128.999, 34.774),  # Table 3: 129.0, 34.8
        ((S, L), Shape(256, 16, 16), 426.813, 113.415),  # Table 3: 426.8, 113.4
        ((S, B), Shape(512, 16, 16), 128.999, 160.838),  # Table 4: 129.0, 160.8
    ],
)
def test_tables_3_and_4(
    towers: tuple[Tower, Tower], shape: Shape, parameters: float, gflops: float
) -> None:
    assert round(tokenizer_parameters(*towers, shape) / 1e6, 3) == parameters
    assert round(tokenizer_macs(*towers, shape) / 1e9, 3) == gflops


@pytest.mark.parametrize(
    ("stride", "patch", "tokens", "parameters", "gflops"),
    [
        (4, 8, 1024, 128.80, 160.84),  # the image's patch dimension by chance: Table 5's 160.8
        (8, 8, 512, 129.98, 73.78),  # Table 5 prints 73.2: the image's patch dimension
        (4, 16, 256, 132.34, 35.68),  # Table 5 prints 34.8
    ],
)
def test_table_5_has_the_true_patch_dimension(
    stride: int, patch: int, tokens: int, parameters: float, gflops: float
) -> None:
    shape = Shape(128, patch, 16, frames=16, stride=stride)
    assert shape.tokens == tokens
    assert shape.patch_values == 3 * stride * patch**2
    assert round(tokenizer_parameters(S, B, shape) / 1e6, 2) == parameters
    assert round(tokenizer_macs(S, B, shape) / 1e9, 2) == gflops


def test_shape_of_the_paper_code() -> None:
    shape = Shape(256, 16, 16)
    assert (shape.tokens, shape.code, shape.pixels_per_channel) == (256, 4096, 48.0)
    video = Shape(256, 16, 16, frames=16, stride=4)
    assert (video.tokens, video.code, video.pixels_per_channel) == (1024, 16384, 192.0)


def test_a_swiglu_of_two_thirds_has_the_size_of_the_convention() -> None:
    """Three matrices of d × 8d/3 are two of d × 4d: user-defined towers count the same way."""
    width = 96
    swiglu = 3 * width * (8 * width // 3)
    attention = 4 * width * width
    block = block_parameters(Tower(width=width, blocks=1, heads=4))
    assert block - 13 * width == swiglu + attention


def test_encoder_and_decoder_add_up_and_attention_is_quadratic() -> None:
    shape = Shape(256, 16, 16)
    assert encoder_macs(S, shape) + decoder_macs(B, shape) == tokenizer_macs(S, B, shape)
    small, large = (tower_macs(B, resolution) for resolution in (256, 512))
    assert large - 4 * small == B.blocks * 2 * B.width * (1024**2 - 4 * 256**2)


def test_vgg16_is_the_known_15_gmacs() -> None:
    assert round(vgg16_macs(224) / 1e9, 2) == 15.35
    assert vgg16_macs(64, frames=3) == 3 * vgg16_macs(64)


def test_latent_tokens_are_the_code_and_lengthen_the_sequence() -> None:
    shape = Shape(256, 16, 16, latents=128)
    assert (shape.tubelets, shape.tokens, shape.sequence, shape.code) == (256, 128, 384, 2048)
    assert shape.pixels_per_channel == 96.0
    doubled = Shape(256, 16, 16, latents=256)
    # Blocks over twice the tokens, as at 512 px with a quarter of them: only linear maps differ.
    simple = Shape(256, 16, 16)
    linear = 256 * 768 * (768 + 32)
    blocks = encoder_macs(S, simple) - linear
    attention = S.blocks * 2 * 768 * 256**2
    assert encoder_macs(S, doubled) == linear + 2 * blocks + 2 * attention


# Table 3, Table 4, Table 5 and §8.3, each with its published parameters in millions. Those of
# Table 5's 8x8 and 4x16 are printed as 129, with the image's patch dimension 768 in place of their
# own 1536 and 3072: the embedding and the unembedding make up the difference.
MODELS: dict[str, tuple[str, Shape, float | None, dict[str, Any]]] = {
    "S-B/16": ("S-B", Shape(256, 16, 16), 129.0, {}),
    "S-L/16": ("S-L", Shape(256, 16, 16), 426.8, {}),
    "S-B/16 512p": ("S-B", Shape(512, 16, 16), 129.0, {}),
    "S-B/4x8": ("S-B", Shape(128, 8, 16, 16, 4), 129.0, {}),
    "S-B/8x8": ("S-B", Shape(128, 8, 16, 16, 8), 129.0 + 2 * 768 * 768 / 1e6, {}),
    "S-B/4x16": ("S-B", Shape(128, 16, 16, 16, 4), 129.0 + 2 * 768 * 2304 / 1e6, {}),
    "latent 128": ("S-B", Shape(256, 16, 16, latents=128), None, {"variant": "latent"}),
    "latent 1024": ("S-B", Shape(256, 16, 16, latents=1024), None, {"variant": "latent"}),
    "mask simple": (
        "S-B", Shape(256, 16, 16), None, {"variant": "mask_simple", "lengths": (32, 256)},
    ),
    "mask latent": (
        "S-B", Shape(256, 16, 16, latents=256), None,
        {"variant": "mask_latent", "lengths": (32, 256)},
    ),
}  # fmt: skip


def on_meta(name: str) -> tuple[ViTok, Shape, float | None]:
    """The model with its true sizes, none of them allocated."""
    towers, shape, printed, fields = MODELS[name]
    encoder, decoder = (SIZES[size] for size in towers.split("-"))
    config = TokenizerConfig(
        encoder=encoder, decoder=decoder, patch=shape.patch, stride=shape.stride,
        channels=shape.channels, latents=shape.latents, **fields,
    )  # fmt: skip
    with torch.device("meta"):
        return build_tokenizer(config, shape.frames, shape.resolution), shape, printed


@pytest.mark.parametrize("name", MODELS)
def test_parameters_of_the_models(name: str) -> None:
    model, shape, printed = on_meta(name)
    count = sum(each.numel() for each in model.parameters())
    planned = tokenizer_parameters(model.config.encoder, model.config.decoder, shape)
    assert count == pytest.approx(planned, rel=0.005)
    if printed is not None:
        assert count / 1e6 == pytest.approx(printed, rel=0.005)


def test_learned_tokens_are_counted_to_the_last_one() -> None:
    counts = {
        name: sum(each.numel() for each in on_meta(name)[0].parameters())
        for name in ("S-B/16", "latent 128", "mask simple", "mask latent")
    }
    simple = tokenizer_parameters(S, B, Shape(256, 16, 16))
    for name, latents in (("latent 128", 128), ("mask latent", 256)):
        planned = tokenizer_parameters(S, B, Shape(256, 16, 16, latents=latents)) - simple
        token_of_the_mask = 16 if name.startswith("mask") else 0
        assert counts[name] - counts["S-B/16"] == planned + token_of_the_mask
    assert counts["mask simple"] - counts["S-B/16"] == 16


@pytest.mark.parametrize("name", MODELS)
def test_torch_counts_the_same_products(name: str) -> None:
    """Half of torch's FLOPs are our MACs but for the norms, which torch does not count."""
    model, shape, _ = on_meta(name)
    towers = model.config.encoder, model.config.decoder
    assert model.code_shape == (shape.tokens, shape.channels)
    x = torch.empty(1, 3, shape.frames, shape.resolution, shape.resolution, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    norms = sum(2 * 5 * tower.blocks * shape.sequence * tower.width for tower in towers)
    assert counter.get_total_flops() == 2 * (tokenizer_macs(*towers, shape) - norms)
