"""Sheets of generated samples: a grid of pictures, and of clips one that moves."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitok_core.data.pixels import as_clips
from vitok_core.files import replace_atomically

_PICTURES, _ROWS, _FRAMES, _MOVING = 64, 8, 8, 16
_GAP = 4  # pixels
_TILE = 128  # pixels: smaller pictures are enlarged by whole factors to about this
_FRAME_MS = 125


def show(samples: Tensor, folder: Path) -> dict[str, Path]:
    """Write pictures of samples; returns their paths by kind of artifact.

    Args:
        samples: (b, 3, h, w) uint8, of which `samples.png` shows the first 64 row by row; or clips
            (b, 3, t, h, w): `samples.png` has one a row, frames from left to right, `samples.gif`
            the first 16 side by side, moving.
    """
    folder.mkdir(parents=True, exist_ok=True)
    still, moving = folder / "samples.png", folder / "samples.gif"
    clips = as_clips(samples).permute(0, 2, 3, 4, 1).numpy()  # (b, t, h, w, 3)
    frames = clips.shape[1]
    if frames == 1:
        page = _page(clips[:_PICTURES, 0])
        replace_atomically(still, lambda file: page.save(file, format="PNG"))
        return {"samples": still}
    shown = np.unique(np.linspace(0, frames - 1, _FRAMES).round().astype(int))
    rows = clips[:_ROWS, shown]
    page = _page(rows.reshape(-1, *rows.shape[2:]), columns=len(shown))
    replace_atomically(still, lambda file: page.save(file, format="PNG"))
    first, *rest = [_page(clips[:_MOVING, at]) for at in range(frames)]
    replace_atomically(
        moving,
        lambda file: first.save(
            file, format="GIF", save_all=True, append_images=rest, duration=_FRAME_MS, loop=0
        ),
    )
    return {"frames": still, "clips": moving}


def _page(tiles: NDArray[np.uint8], columns: int | None = None) -> Image.Image:
    """Pictures (b, h, w, 3) on white, by default in about as many columns as rows."""
    count, height, width, _ = tiles.shape
    columns = columns or math.ceil(math.sqrt(count))
    factor = max(1, _TILE // height)
    size = (height * factor + _GAP, width * factor + _GAP)
    rows = -(-count // columns)
    canvas = Image.new("RGB", (columns * size[1] + _GAP, rows * size[0] + _GAP), "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        picture = Image.fromarray(tile).resize(
            (width * factor, height * factor), Image.Resampling.NEAREST
        )
        canvas.paste(picture, (_GAP + column * size[1], _GAP + row * size[0]))
    return canvas
