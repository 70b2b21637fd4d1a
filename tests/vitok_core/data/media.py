"""Files for tests: pictures, videos of known pixels, and tars of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frames = NDArray[np.uint8]  # (t, h, w, 3)


def picture(seed: int, height: int = 40, width: int = 56) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encoded(seed: int, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, kind)
    return file.getvalue()


def numbered(count: int, height: int = 48, width: int = 64, first: int = 0) -> Frames:
    """Frames that say which they are: red is the number, green and blue a texture."""
    y, x = np.mgrid[:height, :width]
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = (first + np.arange(count))[:, None, None]
    frames[..., 1], frames[..., 2] = x * 3 % 256, y * 5 % 256
    return frames


def video(frames: Frames, fps: int | Fraction = 24, codec: str = "libx264rgb") -> bytes:
    """A video without loss, all of one key frame, in a container that can hold it."""
    options = {"libx264rgb": {"qp": "0", "g": "1000"}, "ffv1": {"g": "1000"}}[codec]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4" if codec == "libx264rgb" else "matroska") as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24" if codec == "libx264rgb" else "bgr0"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    """A folder of these files."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    """A tar of these members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return path


def shards(root: Path, count: int, each: int, kind: str = "jpg") -> Path:
    """So many shards `00000.tar` of so many labelled samples each; pictures, or videos as `mp4`."""
    for shard in range(count):
        members = {}
        for k in range(each + shard % 2):  # of unequal length
            number = shard * 100 + k
            data = encoded(number) if kind == "jpg" else video(numbered(12, first=number % 200))
            members[f"{number:06}.{kind}"] = data
            members[f"{number:06}.cls"] = b"%d" % (number % 3)
        tar(root / f"{shard:05}.tar", members)
    return root
