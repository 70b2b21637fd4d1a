"""Clips of video files, decoded by PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import Interpolation

from vitok_core.data.images import CorruptImage, Pixels
from vitok_core.data.scenes import LOOK, Collector, Look, Rate, Shown, there_and_back
from vitok_core.data.stored import Stored

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# The flags make the conversion the same on every CPU.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
_COLOUR = Interpolation.BILINEAR | _EXACT
_SHRINK = Interpolation.AREA | _EXACT


class Unreadable(ValueError):  # noqa: N818  (named for the file)
    """A video that lacks what a clip needs."""


class Videos(Stored):
    """The videos of a store; a clip is decoded from the key frame before it."""

    clips_per_video = 1

    def clip(
        self,
        i: int,
        place: float,
        frames: int,
        fps: float | None,
        prepare: Callable[[Pixels], Pixels],
    ) -> Pixels:
        """A clip of video i; a file that cannot be decoded is named in the error."""
        with self.store.open(i) as file:
            try:
                return read_clip(file, place, frames, fps, prepare)
            except (av.FFmpegError, Unreadable, OSError) as error:
                name = self.store.name(i)
                raise CorruptImage(f"{name}: not a readable video ({error})") from error


def read_clip(
    file: BinaryIO,
    place: float,
    frames: int,
    fps: float | None,
    prepare: Callable[[Pixels], Pixels],
) -> Pixels:
    """(frames, h, w, 3) uint8, by the rule of `scenes`.

    The other arguments are those of `VideoSource.clip`.

    Raises:
        Unreadable, av.FFmpegError: the file has no such frames, or is damaged.
    """
    with av.open(file, "r", metadata_errors="ignore") as container:
        if not container.streams.video:
            raise Unreadable("it has no video stream")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1  # workers are the parallelism
        begin, seconds = _extent(container, stream)
        rate = Rate.of(fps, _frames_per_second(stream))
        start = begin + place * max(0.0, seconds - rate.span(frames))
        collector = Collector(frames, rate, prepare)
        taken = collector.first_whole(_shown_from(container, stream, start, rate))
        if taken is None and start > begin:
            taken = collector.first_whole(_shown_from(container, stream, begin, rate))
        if taken is None and collector.longest:
            taken = there_and_back(collector.longest, frames)
        if taken is None:
            raise Unreadable("it has no frames")
        return np.stack(taken)


def _extent(container: InputContainer, stream: VideoStream) -> tuple[float, float]:
    """When the video begins and how long it is, in seconds, as the file says."""
    unit = stream.time_base
    if unit is None:
        raise Unreadable("its stream has no unit of time")
    begin = float((stream.start_time or 0) * unit)
    if stream.duration is not None:
        return begin, float(stream.duration * unit)
    if container.duration is not None:
        return begin, container.duration / av.time_base
    raise Unreadable("it does not say how long it is")


def _frames_per_second(stream: VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise Unreadable("it does not say its frame rate")
    return float(rate)


def _shown_from(
    container: InputContainer, stream: VideoStream, start: float, rate: Rate
) -> Iterator[Shown]:
    """The frames from `start` seconds on, the nearest one first."""
    margin = rate.native / 2
    for frame in _decoded_from(container, stream, start + margin):
        if frame.time is None:
            raise Unreadable("a frame without a time")
        if frame.time < start - margin:
            continue
        if frame.is_corrupt:
            raise Unreadable(f"a damaged frame at {frame.time:.2f} s")
        yield Shown(frame.time, _look(frame), partial(rgb, frame))


def _decoded_from(
    container: InputContainer, stream: VideoStream, time: float
) -> Iterator[VideoFrame]:
    """Frames from a key frame at or before `time`: the last one where the file can tell."""
    assert stream.time_base is not None  # `_extent` has looked
    container.seek(int(time / stream.time_base), stream=stream)
    decoded = container.decode(stream)
    first = next(decoded, None)
    if first is not None and (first.time is None or first.time <= time):
        yield first
        yield from decoded
        return
    # An index that led past the place, as broken ones do.
    container.seek(stream.start_time or 0, stream=stream)
    yield from container.decode(stream)


def _look(frame: VideoFrame) -> Look:
    small = frame.reformat(LOOK, LOOK, "gray", interpolation=_SHRINK, threads=1)
    look: Look = small.to_ndarray().astype(np.int16)
    return look


def rgb(frame: VideoFrame, size: tuple[int, int] | None = None) -> Pixels:
    """(h, w, 3) uint8, turned upright as the file says; shrunk to `size`, (width, height)."""
    how = _COLOUR if size is None else _SHRINK
    width, height = size or (frame.width, frame.height)
    converted = frame.reformat(width, height, "rgb24", interpolation=how, threads=1)
    picture: Any = converted.to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))
