"""JPEG and WebP at a budget of bits, and bicubic shrinking. No weights; every frame is an image.

A picture gets the whole budget. Tried are: its own size and halves of it (a file of few bits is
better spent on fewer pixels), JPEG with chroma at half and at full resolution; of each the highest
quality that bisection finds within the budget; and one colour. Of these the one with the least
squared error is shown, enlarged by Pillow's bicubic filter where it was shrunk.

What counts as bits: what differs from picture to picture. Of JPEG the scan, in the standard Huffman
tables; of WebP the VP8 payload behind its fixed header of 10 bytes; of both 16 bits that say
quality, size and chroma. Containers and tables, which every picture shares, are not counted. One
colour takes 24 + 16 bits.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitok_core.baselines.table import LEAST_BITS, LEAST_SIDE, SIDE_BITS
from vitok_core.data.pixels import as_images, as_shaped

PROTOCOL = {
    "jpeg": "JPEG: bits of the scan in standard Huffman tables + 16, mean over pictures; best of "
    "halved sizes, of 4:2:0, 4:4:4 and of one colour by squared error",
    "webp": "WebP lossy, method 4: bits of the VP8 payload behind its frame header + 16, mean over "
    "pictures; best of halved sizes and of one colour by squared error",
}
_BICUBIC = Image.Resampling.BICUBIC
_WEBP_FIXED = 12 + 8 + 10  # bytes: RIFF header, chunk header, VP8 frame header

Encode = Callable[[int], tuple[bytes, int]]  # quality → file, bits


class Coded(NamedTuple):
    """A picture after its trip through a file."""

    image: Image.Image
    bits: int


class Lossy:
    """Rebuilds batches through JPEG or WebP, and keeps account of the bits.

    Args:
        kind: jpeg or webp.
        bits: the budget of each picture, at least LEAST_BITS.
        threads: pictures that are worked on at once.
    """

    def __init__(self, kind: str, bits: int, threads: int) -> None:
        self.kind, self.bits, self.threads = kind, bits, threads
        self._spent, self._pixels = 0, 0
        self._last = (0, 0)

    def __call__(self, samples: Tensor) -> Tensor:
        """(b, 3, h, w) or (b, 3, t, h, w) uint8 → the same, rebuilt."""
        with ThreadPoolExecutor(self.threads) as pool:
            coded = list(pool.map(self._code, _pictures(samples)))
        bits = sum(each.bits for each in coded)
        self._last = bits, sum(each.image.width * each.image.height for each in coded)
        return _samples([each.image for each in coded], samples)

    def look(self) -> tuple[int, int]:
        """Bits and pixels of the batch that was rebuilt last."""
        return self._last

    def add(self, seen: tuple[int, int]) -> None:
        """Take in what was seen of a batch."""
        self._spent += seen[0]
        self._pixels += seen[1]

    @property
    def bits_per_pixel(self) -> float:
        """What was spent of the budget, on what was taken in."""
        return self._spent / self._pixels

    def _code(self, picture: Image.Image) -> Coded:
        coded = [_one_colour(picture)]
        for small in _halves(picture):
            for encode in _encoders(small, self.kind):
                found = _highest_within(encode, self.bits)
                if found is not None:
                    with Image.open(io.BytesIO(found[0])) as opened:
                        shown = opened.convert("RGB").resize(picture.size, _BICUBIC)
                    coded.append(Coded(shown, found[1]))
        original = np.asarray(picture, dtype=np.float32)
        return min(coded, key=lambda each: _squared_error(each.image, original))


def bicubic(samples: Tensor, factor: int) -> Tensor:
    """Shrunk by `factor` each way and enlarged again, by Pillow's antialiased bicubic filter with
    8 bits between the two; shapes as of `Lossy`."""
    pictures = [
        each.resize((each.width // factor, each.height // factor), _BICUBIC).resize(
            each.size, _BICUBIC
        )
        for each in _pictures(samples)
    ]
    return _samples(pictures, samples)


def scan_bits(jpeg: bytes) -> int:
    """Bits of a baseline JPEG's one scan: what stands between its header and the last marker."""
    at = 2
    while jpeg[at + 1] != 0xDA:  # SOS
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    start = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return 8 * (len(jpeg) - 2 - start)


def _halves(picture: Image.Image) -> Iterator[Image.Image]:
    width, height = picture.size
    yield picture
    while min(width, height) >= 2 * LEAST_SIDE:
        width, height = width // 2, height // 2
        yield picture.resize((width, height), _BICUBIC)


def _encoders(picture: Image.Image, kind: str) -> Sequence[Encode]:
    if kind == "webp":
        return [lambda quality: _webp(picture, quality)]
    return [
        lambda quality: _jpeg(picture, quality, "4:2:0"),
        lambda quality: _jpeg(picture, quality, "4:4:4"),
    ]


def _jpeg(picture: Image.Image, quality: int, chroma: str) -> tuple[bytes, int]:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=chroma)
    data = file.getvalue()
    return data, scan_bits(data) + SIDE_BITS


def _webp(picture: Image.Image, quality: int) -> tuple[bytes, int]:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=quality, method=4)
    data = file.getvalue()
    return data, 8 * (len(data) - _WEBP_FIXED) + SIDE_BITS


def _highest_within(encode: Encode, budget: int) -> tuple[bytes, int] | None:
    """The file of the highest quality (1 to 100) that bisection finds within the budget, and its
    bits; None: there is none."""
    low, high = 1, 100
    found = None
    while low <= high:
        quality = (low + high) // 2
        made = encode(quality)
        if made[1] <= budget:
            found, low = made, quality + 1
        else:
            high = quality - 1
    return found


def _one_colour(picture: Image.Image) -> Coded:
    mean = np.asarray(picture).mean((0, 1)).round().astype(int).tolist()
    return Coded(Image.new("RGB", picture.size, tuple(mean)), LEAST_BITS)


def _squared_error(shown: Image.Image, original: NDArray[np.float32]) -> float:
    return float(np.square(np.asarray(shown) - original).mean())


def _pictures(samples: Tensor) -> list[Image.Image]:
    frames = as_images(samples).permute(0, 2, 3, 1).contiguous().numpy()
    return [Image.fromarray(frame) for frame in frames]


def _samples(pictures: Sequence[Image.Image], like: Tensor) -> Tensor:
    """Pictures, frame by frame, in the shape of the samples that they were made of."""
    frames = torch.from_numpy(np.stack([np.asarray(each) for each in pictures]))
    return as_shaped(frames.permute(0, 3, 1, 2), like)
