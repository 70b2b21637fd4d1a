"""Decoding one image file the same way everywhere, and a store of such files as a source."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vitok_core.data.images import CorruptImage, Pixels
from vitok_core.data.stored import Stored

_MEND = "replace the file"


class Images(Stored):
    """The images of a store, decoded on demand."""

    in_memory = False
    crops_per_image = 1

    def image(self, i: int) -> Pixels:
        """Image i, (h, w, 3) uint8; a file that cannot be read is named in the error."""
        with self.store.open(i) as file:
            try:
                data = file.read()
            except OSError as error:
                raise CorruptImage(f"{self.store.name(i)}: {error.strerror}") from error
        return decode(data, self.store.name(i))


def decode(data: bytes, name: object) -> Pixels:
    """Decode to (h, w, 3) uint8 RGB, turned upright by the EXIF orientation.

    Greyscale, CMYK and palette files become RGB; transparency is dropped; of an animation the first
    frame counts. Colour profiles are not applied, as is usual in the field. `name` only names the
    file in the error.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            ImageOps.exif_transpose(image, in_place=True)
            whole = _eight_bits(image)
            return np.asarray(whole if whole.mode == "RGB" else whole.convert("RGB"))
    except UnidentifiedImageError as error:  # its own words name an object in memory
        raise CorruptImage(f"{name}: not a readable image (of no known format); {_MEND}") from error
    # Pillow has no one error for a broken file: OSError, SyntaxError, struct.error, ValueError…
    except Exception as error:
        raise CorruptImage(f"{name}: not a readable image ({error}); {_MEND}") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit greyscale PNGs by their high byte: Pillow itself would clip them at 255."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
