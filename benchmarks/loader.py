"""The data loader alone, without training: folders, tar shards and videos, beside plain pipelines.

Each peer is timed where it is installed (`pip install -e ".[bench]"`) and makes batches of the same
shape in this process: a random square, shrunk without aliasing, mirrored or not. None of them knows
which sample comes after a resume; the plain video reader looks for no scene cut.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from timing import Row, compare

from vitok_core.data.manifest import manifest
from vitok_core.data.opening import open_source
from vitok_core.data.sampler import TrainCrops, loader
from vitok_core.data.synthetic import FPS, FRAMES, Synthetic

SIDE, BATCH, STEPS = 256, 32, 4
IMAGES = BATCH * STEPS
VIDEOS, CLIP_FRAMES, CLIP_FPS, CLIPS = 16, 16, 8.0, 16
ROUNDS = 5


def measure(folder: Path) -> Iterator[Row]:
    """Images from a folder, the same from shards, clips from videos."""
    images, shards, videos = _folder(folder), _shards(folder), _videos(folder)
    what = f"{IMAGES} images of {SIDE} px from"
    peers: dict[str, Callable[[], object]] = {}
    if find_spec("torchvision"):
        peers["torchvision_ImageFolder"] = _torchvision(images)
    ours = _ours("imagenet1k-train", images, BATCH, STEPS)
    yield compare(f"{what} a folder", ROUNDS, loader=ours, **peers)
    peers = {"webdataset": _webdataset(shards)} if find_spec("webdataset") else {}
    ours = _ours("imagenet1k-train", shards, BATCH, STEPS)
    yield compare(f"{what} tar shards", ROUNDS, loader=ours, **peers)
    ours = _ours("shutterstock-video", videos, CLIPS, 1, CLIP_FRAMES, CLIP_FPS)
    what = f"{CLIPS} clips of {CLIP_FRAMES} frames of {SIDE} px at {CLIP_FPS:g} fps from videos"
    yield compare(what, ROUNDS, loader=ours, plain_PyAV=_plain(videos))


def _ours(
    name: str, place: Path, batch: int, steps: int, frames: int = 1, fps: float | None = None
) -> Callable[[], object]:
    source = open_source(name, {name: str(place)})
    crops = TrainCrops(source, SIDE, 0, (0.4, 1.0), frames=frames, fps=fps)
    return lambda: [batch.samples for batch in loader(crops, batch, range(steps))]


def _torchvision(place: Path) -> Callable[[], object]:
    from torchvision.datasets import ImageFolder

    images = ImageFolder(str(place), _square)
    generator = torch.Generator().manual_seed(0)

    def run() -> object:
        order = torch.randperm(len(images), generator=generator).tolist() * IMAGES
        parts = torch.split(torch.tensor(order[:IMAGES]), BATCH)
        return [torch.stack([images[i][0] for i in part.tolist()]) for part in parts]

    return run


def _webdataset(place: Path) -> Callable[[], object]:
    import webdataset

    def run() -> object:
        files = sorted(map(str, place.glob("*.tar")))
        stream = webdataset.WebDataset(files, shardshuffle=False).shuffle(64).decode("pil")
        samples = stream.to_tuple("jpg").map_tuple(_square).repeat()
        found = (sample for (sample,) in samples)
        return [torch.stack([next(found) for _ in range(BATCH)]) for _ in range(STEPS)]

    return run


def _plain(place: Path) -> Callable[[], object]:
    files = sorted(place.glob("*.mp4"))
    every = round(FPS / CLIP_FPS)
    generator = np.random.default_rng(0)

    def clip(file: Path) -> torch.Tensor:
        with av.open(file, "r") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            first = int(generator.integers(FRAMES - CLIP_FRAMES * every))
            assert stream.time_base is not None
            container.seek(int(first / FPS / stream.time_base), stream=stream)
            wanted = []
            for frame in container.decode(stream):
                number = round((frame.time or 0.0) * FPS) - first
                if number >= 0 and number % every == 0:
                    wanted.append(_square(frame.to_image()))
                if len(wanted) == CLIP_FRAMES:
                    break
            return torch.stack(wanted, 1)

    return lambda: torch.stack([clip(files[k % len(files)]) for k in range(CLIPS)])


def _square(image: Image.Image) -> torch.Tensor:
    """A random square by Pillow's antialiased bicubic: (3, SIDE, SIDE) uint8."""
    share, y, x, mirror = torch.rand(4).tolist()
    side = round((0.4 + 0.6 * share) * min(image.size))
    left, top = int(x * (image.width - side)), int(y * (image.height - side))
    box = (left, top, left + side, top + side)
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)
    pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)
    return pixels.flip(-1) if mirror < 0.5 else pixels


def _folder(folder: Path) -> Path:
    """The embedded photos in two class folders."""
    for k, photo in enumerate(manifest()):
        place = folder / "images" / f"class{k % 2}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo.path, place)
    return folder / "images"


def _shards(folder: Path) -> Path:
    """The same in four shards."""
    place = folder / "shards"
    place.mkdir()
    for shard in range(4):
        with tarfile.open(place / f"{shard:04}.tar", "w") as tar:
            for photo in manifest()[shard::4]:
                tar.add(photo.path, f"{photo.path.stem}.jpg")
    return place


def _videos(folder: Path) -> Path:
    """Drawn videos as H.264, a key frame per second."""
    place = folder / "videos"
    place.mkdir()
    for i in range(VIDEOS):
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            options = {"preset": "veryfast", "g": "24"}
            stream = container.add_stream("libx264", rate=round(FPS), options=options)
            clip = Synthetic().clip(i, 0.0, FRAMES, None, lambda pixels: pixels)
            stream.height, stream.width = clip.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for pixels in clip:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            container.mux(stream.encode())
        (place / f"{i:02}.mp4").write_bytes(file.getvalue())
    return place
