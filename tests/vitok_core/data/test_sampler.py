"""The sampler: samples are functions of their global index, antialiased, and sets are fixed."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from vitok_core.data.crops import Cut, Pyramid, level_for, resize
from vitok_core.data.images import ImageSource, Pixels
from vitok_core.data.opening import open_source
from vitok_core.data.pixels import to_model, to_uint8
from vitok_core.data.sampler import EvalCrops, TrainCrops, loader, step_indices
from vitok_core.errors import UserError


class Drawn:
    """Synthetic images of exact content, so that goldens do not hang on a JPEG decoder."""

    shard_sizes = None

    def __init__(self, n: int = 7, in_memory: bool = True, crops_per_image: int = 16) -> None:
        self.in_memory, self.crops_per_image = in_memory, crops_per_image
        y, x = np.mgrid[:96, :128]
        self.pixels = [
            np.stack([(x * 2 + i * 9) % 256, (y * 2 + i * 5) % 256, (x * y // 8 + i) % 256], -1)
            .astype(np.uint8)
            for i in range(n)
        ]  # fmt: skip

    def __len__(self) -> int:
        return len(self.pixels)

    def image(self, i: int) -> Pixels:
        return self.pixels[i]

    def label(self, i: int) -> int:
        return i


class One(Drawn):
    """A single given image."""

    def __init__(self, pixels: Pixels) -> None:
        super().__init__(1)
        self.pixels = [pixels]


def digest(images: torch.Tensor) -> str:
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16]


def crops(source: ImageSource | None = None, **options: object) -> TrainCrops:
    given = {"resolution": 16, "seed": 5, "scale": (0.4, 1.0), **options}
    return TrainCrops(source or Drawn(), **given)  # type: ignore[arg-type]


class TestTraining:
    def test_golden(self) -> None:
        assert digest(crops().samples(range(64))) == "cc821294920447d9"
        batch = crops().samples(range(64)).to(torch.int64)
        assert batch.sum((0, 2, 3)).tolist() == [2417536, 1794048, 2021272]

    def test_golden_on_photos(self) -> None:
        # By mean, not by hash: JPEG decoders may differ in a last bit.
        batch = TrainCrops(open_source("photos-train", {}), 64, 0, (0.4, 1.0)).samples(range(16))
        means = batch.to(torch.float64).mean((0, 2, 3))
        assert means.tolist() == pytest.approx([129.18, 124.89, 111.06], abs=0.05)

    def test_shape_and_type(self) -> None:
        assert crops().sample(3).shape == (3, 16, 16)
        batch = crops().samples(range(16, 24))
        assert batch.shape == (8, 3, 16, 16)
        assert batch.dtype == torch.uint8
        assert batch.is_contiguous()

    def test_order_of_access_does_not_matter(self) -> None:
        forward = crops().samples(range(40))
        sampler = crops()
        backward = {i: sampler.sample(i) for i in reversed(range(40))}
        assert all(torch.equal(forward[i], backward[i]) for i in range(40))

    def test_a_resumed_run_goes_on_with_the_same_batches(self) -> None:
        whole = [batch for batch, _, _ in loader(crops(), 6, range(12))]
        rest = [batch for batch, _, _ in loader(crops(), 6, range(7, 12))]
        assert all(torch.equal(a, b) for a, b in zip(whole[7:], rest, strict=True))

    @pytest.mark.parametrize("workers", [1, 2])
    def test_the_number_of_workers_does_not_matter(self, workers: int) -> None:
        alone = list(loader(crops(), 6, range(3, 8)))
        shared = list(loader(crops(), 6, range(3, 8), workers=workers))
        for one, two in zip(alone, shared, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))

    def test_ranks_share_the_global_batch(self) -> None:
        ranks = [list(loader(crops(), 8, range(5), rank=r, world=2)) for r in range(2)]
        for step in range(5):
            joined = torch.cat([ranks[r][step][0] for r in range(2)])
            assert torch.equal(joined, crops().samples(step_indices(step, 8)))
        with pytest.raises(ValueError, match="does not divide"):
            step_indices(0, 9, world=2)

    def test_every_image_once_per_epoch_in_another_order(self) -> None:
        sampler = crops(Drawn(30))
        epochs = [[sampler.image_index(e * 30 + i) for i in range(30)] for e in range(3)]
        assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
        assert epochs[0] != epochs[1] != epochs[2]
        assert [crops(Drawn(30), seed=6).image_index(i) for i in range(30)] != epochs[0]

    def test_label_is_the_source_images(self) -> None:
        sampler = crops()
        assert all(sampler.label(i) == sampler.image_index(i) for i in range(30))
        assert sampler.labels(range(4)).dtype == torch.int64

    def test_flip_mirrors_half_and_moves_no_crop(self) -> None:
        flipped, plain = crops(), crops(flip=False)
        same = mirrored = 0
        for i in range(400):
            a, b = flipped.sample(i), plain.sample(i)
            same += torch.equal(a, b)
            mirrored += torch.equal(a, b.flip(2))
        assert same + mirrored == 400
        assert 160 < mirrored < 240  # sd 10

    def test_scale_and_place_cover_their_range(self) -> None:
        # An image that tells where it was cut: red is x, green is y.
        y, x = np.mgrid[:256, :256]
        ramp = np.stack([x, y, x * 0], -1).astype(np.uint8)
        sampler = crops(One(ramp), resolution=8, scale=(0.25, 0.75), flip=False)
        batch = sampler.samples(range(800)).to(torch.float32)
        width = (batch[:, 0, 0, 7] - batch[:, 0, 0, 0]) * 8 / 7 / 256
        centre = batch[:, :2].mean((2, 3)) / 255
        assert 0.2 < width.min() < 0.28
        assert 0.72 < width.max() < 0.8
        assert abs(width.mean() - 0.5) < 0.03
        assert (centre.mean(0) - 0.5).abs().max() < 0.03
        assert centre.min() < 0.16
        assert centre.max() > 0.84

    def test_full_scale_of_a_square_is_the_whole_image(self) -> None:
        square = Drawn().image(0)[:96, :96]
        sampler = crops(One(square), scale=(1.0, 1.0), flip=False, resolution=48)
        assert np.array_equal(sampler.crop(0), resize(square, 48))

    @pytest.mark.parametrize("scale", [(0.0, 1.0), (0.5, 0.4), (0.5, 1.1)])
    def test_bad_scales(self, scale: tuple[float, float]) -> None:
        with pytest.raises(ValueError, match="scale"):
            crops(scale=scale)

    def test_memory_and_disk_sources_give_the_same_crops(self) -> None:
        disk = crops(Drawn(in_memory=False)).samples(range(30))
        assert torch.equal(disk, crops().samples(range(30)))

    def test_a_pickled_sampler_is_the_same_sampler(self) -> None:
        used = crops()
        used.samples(range(10))
        assert torch.equal(pickle.loads(pickle.dumps(used)).sample(12), crops().sample(12))


class TestAntialiasing:
    @pytest.mark.parametrize("side", [256, 200, 130, 97])
    def test_a_one_pixel_checkerboard_shrinks_to_grey(self, side: int) -> None:
        board = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)
        small = Pyramid(One(np.repeat(board[..., None], 3, -1))).crop(0, Cut(1.0, 0.5, 0.5), 32)
        inner = small[2:-2, 2:-2].astype(int)
        assert np.abs(inner - 127.5).max() < 6

    def test_the_check_sees_aliasing(self) -> None:
        board = (np.indices((200, 200)).sum(0) % 2 * 255).astype(np.uint8)
        nearest = np.asarray(Image.fromarray(board).resize((32, 32), Image.Resampling.NEAREST))
        assert np.abs(nearest.astype(int) - 127.5).max() > 100

    @pytest.mark.parametrize("resolution", [16, 64])
    def test_the_pyramid_agrees_with_filtering_at_once(self, resolution: int) -> None:
        source = open_source("photos-tune", {})
        for i in range(len(source)):
            side = min(source.image(i).shape[:2]) // 32 * 32
            square = np.ascontiguousarray(source.image(i)[:side, :side])
            fast = Pyramid(One(square)).crop(0, Cut(1.0, 0.0, 0.0), resolution).astype(int)
            assert np.abs(fast - resize(square, resolution)).mean() < 2.0

    @pytest.mark.parametrize(("in_memory", "kept"), [(True, True), (False, False)])
    def test_levels_are_kept_for_images_in_memory_only(self, in_memory: bool, kept: bool) -> None:
        pyramid = Pyramid(Drawn(in_memory=in_memory))
        assert (pyramid.level(0, 1) is pyramid.level(0, 1)) is kept

    def test_levels_leave_twice_the_target(self) -> None:
        assert [level_for(side, 64) for side in (64, 127, 255, 256, 511, 512)] == [0, 0, 0, 1, 1, 2]


class TestEvaluation:
    def test_golden(self) -> None:
        assert digest(EvalCrops(Drawn(), 16).samples(range(112))) == "8f47c5e92e24cc5b"

    def test_golden_on_photos(self) -> None:
        held = EvalCrops(open_source("photos-heldout", {}), 64)
        assert len(held) == 256
        means = held.samples(range(256)).to(torch.float64).mean((0, 2, 3))
        assert means.tolist() == pytest.approx([119.36, 104.08, 83.26], abs=0.05)

    @pytest.mark.parametrize("samples", [1, 5, 7, 20, 200])
    def test_even_over_photos_and_a_beginning_of_the_larger_set(self, samples: int) -> None:
        part, whole = EvalCrops(Drawn(), 16, samples), EvalCrops(Drawn(), 16, 200)
        assert len(part) == samples
        assert torch.equal(part.samples(range(samples)), whole.samples(range(samples)))
        counts = Counter(part.label(i) for i in range(samples))
        assert max(counts.values()) - min(counts.values(), default=0) <= 1

    def test_crops_of_one_photo_differ_and_spread(self) -> None:
        y, x = np.mgrid[:256, :256]
        ramp = np.stack([x, y, x * 0], -1).astype(np.uint8)
        batch = EvalCrops(One(ramp), 32, 32).samples(range(32)).to(torch.float32)
        width = (batch[:, 0, 0, 31] - batch[:, 0, 0, 0]) * 32 / 31 / 256
        assert len(torch.unique(batch.reshape(32, -1), dim=0)) == 32
        assert width[0] > 0.97
        assert 0.38 < width[1:].min() < 0.46
        assert np.histogram(width[1:], 3, (0.4, 1.0))[0].min() >= 8

    def test_crops_are_not_enlarged_where_the_photo_allows(self) -> None:
        board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
        batch = EvalCrops(One(np.repeat(board[..., None], 3, -1)), 64, 8).samples(range(8))
        assert ((batch == 0) | (batch == 255)).all()

    def test_folders_give_centre_crops_in_sorted_order(self) -> None:
        source = Drawn(crops_per_image=1)
        evaluation = EvalCrops(source, 16)
        assert len(evaluation) == len(source)
        for i in range(len(source)):
            # (96, 128) → reduced by 2, then the middle 48 of 64 columns.
            centre = np.asarray(Image.fromarray(source.image(i)).reduce(2))[:, 8:56]
            assert np.array_equal(evaluation.crop(i), resize(centre, 16))

    def test_fewer_than_all_files_are_spread_over_the_list(self) -> None:
        few = EvalCrops(Drawn(10, crops_per_image=1), 16, 5)
        assert [few.image_index(i) for i in range(5)] == [0, 2, 4, 6, 8]

    def test_more_samples_than_files_is_the_users_error(self) -> None:
        with pytest.raises(UserError, match="8 evaluation samples asked of 7 images"):
            EvalCrops(Drawn(crops_per_image=1), 16, 8)
        with pytest.raises(ValueError, match="at least 1"):
            EvalCrops(Drawn(), 16, 0)

    @pytest.mark.parametrize("i", [-1, 112])
    def test_indices_outside_are_errors(self, i: int) -> None:
        with pytest.raises(IndexError):
            EvalCrops(Drawn(), 16).sample(i)

    def test_the_protocol_names_number_resolution_and_resize(self) -> None:
        assert EvalCrops(Drawn(), 16).protocol == (
            "112 low-discrepancy crops of 7 photos, 16px, box 2^k then bicubic, antialiased"
        )


def test_pixels_survive_the_round_trip() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    model = to_model(every)
    assert model.dtype == torch.float32
    assert (model.min().item(), model.max().item()) == (-1.0, 1.0)
    assert torch.equal(to_uint8(model), every)


def test_to_uint8_rounds_and_clips() -> None:
    step = 1 / 127.5
    floats = torch.tensor([-1.5, -1 + 0.6 * step, -1 + 1.4 * step, 1.5])
    assert to_uint8(floats).tolist() == [0, 1, 1, 255]
