"""The paper's printed parameters and GFLOPs, to the digit (Tables 1, 3, 4, 5)."""

from __future__ import annotations

import pytest

from vitok_core.cost import (
    Shape,
    decoder_macs,
    encoder_macs,
    tokenizer_macs,
    tokenizer_parameters,
    tower_parameters,
    vgg16_macs,
)
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
