"""A picture sheet: originals, reconstructions and amplified differences, one column per image.

Torch-free but for what its callers hand over: the analysis reads sheets.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vitok_core.files import replace_atomically

if TYPE_CHECKING:
    from torch import Tensor

TILE = 128  # smaller images are enlarged by whole factors, without smoothing, to about this
GAP = 4
LABEL = 96
AMPLIFY = 4
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
# ASCII: Pillow's own font has no "×".
_ROWS = ("original", "rebuilt", f"difference x{AMPLIFY}")


def write_sheet(path: Path, images: Tensor, rebuilt: Tensor) -> None:
    """Write a PNG atomically.

    Args:
        images, rebuilt: (n, 3, h, w) uint8.
    """
    originals, copies = (_pixels(each) for each in (images, rebuilt))
    # Grey where nothing differs: the sign of an error is worth seeing.
    error = copies.astype(np.int16) - originals.astype(np.int16)
    difference = (128 + AMPLIFY * error).clip(0, 255).astype(np.uint8)
    factor = max(1, TILE // originals.shape[1])
    height, width = originals.shape[1] * factor, originals.shape[2] * factor
    size = (
        LABEL + len(originals) * (width + GAP) + GAP,
        len(_ROWS) * (height + GAP) + GAP,
    )
    canvas = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=13)
    for row, (label, tiles) in enumerate(zip(_ROWS, (originals, copies, difference), strict=True)):
        top = GAP + row * (height + GAP)
        draw.text((8, top + height // 2), label, _INK, font, anchor="lm")
        for column, tile in enumerate(tiles):
            picture = Image.fromarray(tile).resize((width, height), Image.Resampling.NEAREST)
            canvas.paste(picture, (LABEL + GAP + column * (width + GAP), top))
    replace_atomically(path, lambda file: canvas.save(file, format="PNG", compress_level=3))


def read_sheet(path: Path) -> NDArray[np.uint8]:
    """(rows, n, h, w, 3): the tiles that `write_sheet` laid out, enlarged as they stand there.

    Rows are originals, reconstructions, differences; images are square.

    Raises:
        ValueError: the picture has not the measures of a sheet.
        OSError: no such file, or none that Pillow can read.
    """
    with Image.open(path) as picture:
        canvas = np.asarray(picture.convert("RGB"))
    side, beside = divmod(canvas.shape[0] - GAP, len(_ROWS))
    side -= GAP
    columns, rest = divmod(canvas.shape[1] - LABEL - GAP, side + GAP) if side > 0 else (0, 1)
    if beside or rest or columns < 1:
        height, width = canvas.shape[:2]
        raise ValueError(f"{path}: {width}×{height} pixels are not the measures of a sheet")
    tiles = canvas[GAP:, LABEL + GAP :].reshape(len(_ROWS), side + GAP, columns, side + GAP, 3)
    return np.ascontiguousarray(tiles[:, :side, :, :side].transpose(0, 2, 1, 3, 4))


def _pixels(images: Tensor) -> NDArray[np.uint8]:
    """(n, 3, h, w) → (n, h, w, 3)."""
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
