"""Decoding one image file the same way everywhere."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vitok_core.data.images import CorruptImage, Pixels


def decode(data: bytes, path: Path) -> Pixels:
    """Decode to (h, w, 3) uint8 RGB, turned upright by the EXIF orientation.

    Greyscale, CMYK and palette files become RGB. Colour profiles are not applied, as is usual in
    the field. `path` only names the file in the error.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            return np.asarray(upright.convert("RGB"))
    # Pillow has no one error for a broken file: OSError, SyntaxError, struct.error, ValueError…
    except Exception as error:
        raise CorruptImage(f"{path}: not a readable image ({error}); replace the file") from error
