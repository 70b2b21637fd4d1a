"""Pictures and clips as people hold them, made into the model's clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitok_core.data.decode import eight_bits
from vitok_core.data.pixels import to_model
from vitok_core.errors import UserError

Pictures = Tensor | NDArray[np.uint8] | Image.Image | Sequence[Image.Image]

_ARRAYS = "(h, w, 3), (b, h, w, 3) or, of clips, (b, t, h, w, 3)"
_TENSORS = "(3, h, w), (b, 3, h, w) or, of clips, (b, 3, t, h, w)"
_SLACK = 1e-3  # of a float pixel, for rounding; a grey level is 2/255


def to_clips(pictures: Pictures) -> Tensor:
    """A batch of clips (b, 3, t, h, w) in [-1, 1], float32, on the pictures' own device.

    Args:
        pictures: a PIL image, or a sequence of them of one size (greyscale becomes RGB, of 16 bits
            the high byte, transparency is dropped); a numpy array, channels last,
            uint8 0..255, (h, w, 3), (b, h, w, 3) or (b, t, h, w, 3); a tensor, channels first,
            uint8 0..255 or floating point in [-1, 1], (3, h, w), (b, 3, h, w) or (b, 3, t, h, w).
            A single picture is a batch of one, and a picture a clip of one frame.

    Raises:
        UserError: anything else.
    """
    if isinstance(pictures, Tensor):
        return _of_tensor(pictures)
    if isinstance(pictures, np.ndarray):
        return _of_array(pictures)
    return _of_array(_of_images(pictures))


def _of_tensor(pictures: Tensor) -> Tensor:
    if pictures.ndim not in (3, 4, 5) or pictures.shape[-3 if pictures.ndim < 5 else 1] != 3:
        raise UserError(f"images: a tensor of shape {tuple(pictures.shape)}; expected {_TENSORS}")
    if not pictures.numel():
        raise UserError(f"images: a tensor of shape {tuple(pictures.shape)} is empty")
    if pictures.dtype == torch.uint8:
        pixels = to_model(pictures)
    elif pictures.is_floating_point():
        pixels = pictures.to(torch.float32)
        _check_range(pixels)
    else:
        raise UserError(
            f"images: a tensor of {pictures.dtype}; expected uint8 0..255 or floats in [-1, 1]"
        )
    batch = pixels if pixels.ndim > 3 else pixels[None]
    return batch if batch.ndim == 5 else batch[:, :, None]


def _check_range(pixels: Tensor) -> None:
    low, high = (float(end) for end in pixels.detach().aminmax())
    if not (low >= -1 - _SLACK and high <= 1 + _SLACK):  # so that NaN is refused too
        raise UserError(
            f"images: floats from {low:.4g} to {high:.4g}; expected [-1, 1], or uint8 0..255"
        )


def _of_array(pictures: NDArray[np.uint8]) -> Tensor:
    said = f"images: a numpy array of {pictures.dtype}, shape {pictures.shape}"
    if pictures.ndim not in (3, 4, 5) or pictures.shape[-1] != 3:
        raise UserError(f"{said}; expected {_ARRAYS}")
    if pictures.dtype != np.uint8:
        raise UserError(f"{said}; expected uint8 0..255 (floats in [-1, 1] go in as a tensor)")
    # A copy: arrays of pictures are often read-only, and torch has no such tensors.
    channels_first = np.moveaxis(pictures, -1, 0 if pictures.ndim == 3 else 1).copy()
    return _of_tensor(torch.from_numpy(channels_first))


def _of_images(pictures: Image.Image | Sequence[Image.Image]) -> NDArray[np.uint8]:
    images = [pictures] if isinstance(pictures, Image.Image) else pictures
    if not isinstance(images, Sequence) or not all(isinstance(i, Image.Image) for i in images):
        raise UserError(
            f"images: {type(pictures).__name__}; expected a tensor, a numpy array, or PIL images"
        )
    sizes = {image.size for image in images}
    if len(sizes) != 1:
        listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise UserError(f"images: PIL images of one size expected, not of {listed or 'none'}")
    if any(image.mode == "F" for image in images):  # of no known range
        raise UserError(
            "images: a PIL image of floats (mode F); expected 8 or 16 bits, or floats in [-1, 1] "
            "as a tensor"
        )
    pixels = [np.asarray(eight_bits(image).convert("RGB")) for image in images]
    return cast(NDArray[np.uint8], np.stack(pixels))
