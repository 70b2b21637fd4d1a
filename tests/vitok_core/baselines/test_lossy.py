"""JPEG, WebP and bicubic against Pillow's own files, and against what a budget allows."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from vitok_core.baselines.lossy import Lossy, _webp, bicubic, scan_bits
from vitok_core.baselines.table import SIDE_BITS
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import EvalCrops
from vitok_core.metrics.pixels import psnr

SIDE = 64
CROPS = EvalCrops(open_source("photos-tune", {}), SIDE, 6).samples(range(6))


def lossy(kind: str, bits: int, threads: int = 1) -> Lossy:
    return Lossy(kind, bits, threads)


def saved(crop: Tensor, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(crop.permute(1, 2, 0).numpy()).save(file, form, **options)
    return file.getvalue()


def files(crop: Tensor, kind: str) -> list[bytes]:
    """The crop at its full size in every quality; JPEG with chroma at half and at full size."""
    if kind == "webp":
        return [saved(crop, "WEBP", quality=q, method=4) for q in range(1, 101)]
    return [saved(crop, "JPEG", quality=q, subsampling=s) for s in (0, 2) for q in range(1, 101)]


def payload(data: bytes, kind: str) -> int:
    """Bits of a file by the formats' own structure, found by other means than the codec's."""
    if kind == "jpeg":
        return 8 * (len(data) - data.rindex(b"\xff\xda") - 14 - 2)  # SOS of 3 components: 14 bytes
    assert data[8:16] == b"WEBPVP8 "
    size = int.from_bytes(data[16:20], "little")
    return 8 * (size + size % 2 - 10)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
@pytest.mark.parametrize("bits", [1024, 8192])
def test_it_is_at_least_as_good_as_any_file_of_full_size_that_fits(kind: str, bits: int) -> None:
    """The best of all qualities, tried one by one: bisection may miss it by a step."""
    rebuilt = lossy(kind, bits)(CROPS[:3])
    for crop, mine in zip(CROPS[:3], rebuilt, strict=True):
        fitting = [f for f in files(crop, kind) if payload(f, kind) + SIDE_BITS <= bits]
        shown = [np.asarray(Image.open(io.BytesIO(f)).convert("RGB")) for f in fitting]
        original = crop.permute(1, 2, 0).numpy()
        best = max((peak_signal_noise_ratio(original, each) for each in shown), default=0.0)
        found = peak_signal_noise_ratio(original, mine.permute(1, 2, 0).numpy())
        assert found > best - 0.35


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_no_picture_spends_more_than_its_budget_and_more_bits_show_more(kind: str) -> None:
    quality = []
    for bits in (128, 1024, 8192):
        codec = lossy(kind, bits)
        coded = [codec._code(Image.fromarray(c.permute(1, 2, 0).numpy())) for c in CROPS]
        assert max(each.bits for each in coded) <= bits
        rebuilt = codec(CROPS)
        codec.add(codec.look())
        assert 0 < codec.bits_per_pixel <= bits / SIDE**2
        quality.append(float(psnr(rebuilt, CROPS).mean()))
    assert quality == sorted(quality)
    assert quality[-1] - quality[0] > 8


def test_few_bits_are_spent_on_fewer_pixels() -> None:
    assert min(payload(each, "jpeg") + SIDE_BITS for each in files(CROPS[0], "jpeg")) > 400
    few, least = (psnr(lossy("jpeg", bits)(CROPS), CROPS).mean() for bits in (400, 40))
    assert few > least + 2


def test_the_bits_of_a_jpeg_are_those_of_its_scan() -> None:
    flat = torch.full((3, 8, 8), 128, dtype=torch.uint8)
    # One block of each component: DC 0 (2, 2, 2 bits), end of block (4, 2, 2): 14, in whole bytes.
    assert scan_bits(saved(flat, "JPEG", quality=50, subsampling=0)) == 16
    for crop in CROPS[:3]:
        data = saved(crop, "JPEG", quality=60)
        assert scan_bits(data) == payload(data, "jpeg")


def test_the_bits_of_a_webp_are_those_of_its_payload() -> None:
    for crop in CROPS[:3]:
        data = saved(crop, "WEBP", quality=60, method=4)
        picture = Image.fromarray(crop.permute(1, 2, 0).numpy())
        assert _webp(picture, 60) == (data, payload(data, "webp") + SIDE_BITS)


def test_one_colour_stands_where_no_webp_is_small_enough() -> None:
    codec = lossy("webp", 40)
    rebuilt = codec(CROPS)
    codec.add(codec.look())
    assert codec.bits_per_pixel == 40 / SIDE**2
    mean = CROPS.double().mean((-1, -2), keepdim=True).round().to(torch.uint8)
    assert torch.equal(rebuilt, mean.expand_as(CROPS))


@pytest.mark.parametrize("rebuild", [lossy("jpeg", 2048), lambda x: bicubic(x, 8)])
def test_frames_of_clips_are_pictures(rebuild: Lossy) -> None:
    clips = CROPS.unflatten(0, (2, 3)).transpose(1, 2)  # (2, 3, 3, h, w)
    expected = rebuild(CROPS)
    assert torch.equal(rebuild(clips).transpose(1, 2).flatten(0, 1), expected)
    assert torch.equal(torch.cat([rebuild(CROPS[i : i + 1]) for i in range(6)]), expected)


def test_any_number_of_threads_gives_the_same() -> None:
    one, three = lossy("webp", 2048), lossy("webp", 2048, threads=3)
    assert torch.equal(one(CROPS), three(CROPS))
    assert one.look() == three.look()


def test_bicubic_shrinks_and_enlarges() -> None:
    rebuilt = bicubic(CROPS, 8)
    small = Image.fromarray(CROPS[0].permute(1, 2, 0).numpy()).resize((8, 8), 3)
    assert np.array_equal(
        rebuilt[0].permute(1, 2, 0).numpy(), np.asarray(small.resize((64, 64), 3))
    )
    flat = torch.full((1, 3, SIDE, SIDE), 77, dtype=torch.uint8)
    assert torch.equal(bicubic(flat, 8), flat)
