"""The images' way into a network, and the cache of reference Gaussians."""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from recording import RecordingContext
from skimage import data

from vitok_core.metrics import features
from vitok_core.metrics.features import Extractor, References, cached_references, prepare
from vitok_core.metrics.frechet import Reference


@pytest.mark.parametrize("size", [16, 64, 223, 300])
def test_preparing_resizes_as_pillow_does(size: int) -> None:
    photo = data.astronaut()[:size, 100 : 100 + size]
    (found,) = prepare(torch.from_numpy(photo).permute(2, 0, 1)[None])
    for values, channel in zip(found.numpy(), photo.transpose(2, 0, 1), strict=True):
        # In floats Pillow does not round between its two passes.
        exact = Image.fromarray(channel.astype(np.float32)).resize(
            (224, 224), Image.Resampling.BICUBIC
        )
        assert np.array_equal(values, values.round())
        assert np.abs(values - np.asarray(exact).clip(0, 255)).max() < 0.51


def test_images_of_the_networks_size_are_left_alone() -> None:
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    assert torch.equal(prepare(images), images)


def test_outputs_do_not_depend_on_the_micro_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = Extractor.open("efficientnet-lite0", RecordingContext(tmp_path))
    assert extractor.protocol == "efficientnet-lite0 579344248a93, 224px bicubic, 8-bit"
    images = torch.from_numpy(data.coffee()[:64, :320]).unfold(1, 64, 64).permute(1, 2, 0, 3)
    outputs = []
    for size in (1, 2, 5):
        monkeypatch.setattr(features, "MICRO_BATCH", size)
        outputs.append(extractor.outputs(images))
    for other in outputs[1:]:
        for found, expected in zip(other, outputs[0], strict=True):
            assert len(found) == 5
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def made(seed: int = 0) -> References:
    rng = np.random.default_rng(seed)
    both = (Reference(rng.normal(size=n), rng.normal(size=(n, n - 1))) for n in (12, 5))
    return References(*both)


def same(a: References, b: References) -> bool:
    pairs = ((a.features, b.features), (a.stage, b.stage))
    return all(np.array_equal(x.mean, y.mean) and np.array_equal(x.root, y.root) for x, y in pairs)


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> References:
        self.calls += 1
        return made()


def test_references_are_computed_once_per_key(tmp_path: Path) -> None:
    compute, folder = Counted(), tmp_path / "not there yet"
    for _ in range(3):
        assert same(cached_references("key", folder, compute), made())
    assert compute.calls == 1
    cached_references("other key", folder, compute)
    assert compute.calls == 2
    assert len(list(folder.iterdir())) == 2


def _flip(place: float) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        at = int(place * (len(content) - 1))
        return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]

    return damage


def _as_npy(_: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def _lacking(_: bytes) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, features_mean=np.zeros(3))
    return buffer.getvalue()


def _pickled(_: bytes) -> bytes:
    """An archive whose arrays would have to be unpickled: a shared cache must never run code."""
    names = ("features_mean", "features_root", "stage_mean", "stage_root")
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.array([{}], dtype=object) for name in names})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-40],
        lambda content: content[:50],
        lambda content: content[: len(content) // 2],
        lambda content: b"\0" * len(content),
        lambda content: b"not an archive",
        _as_npy,
        _lacking,
        _pickled,
        *(_flip(place / 16) for place in range(17)),
    ],
)
def test_a_damaged_cache_is_computed_again(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    compute = Counted()
    cached_references("key", tmp_path, compute)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    # A flipped bit may lie where it does not matter; it never gives other numbers.
    assert same(cached_references("key", tmp_path, compute), made())
    if compute.calls == 2:
        assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def _compute_beside(folder: Path, together: Barrier) -> None:
    def compute() -> References:
        together.wait(20)  # both have looked, and found nothing
        return made()

    assert same(cached_references("key", folder, compute), made())


def test_two_processes_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    forks = multiprocessing.get_context("fork")
    together = forks.Barrier(2)
    folder = tmp_path / "cache"
    both = [forks.Process(target=_compute_beside, args=(folder, together)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    cached_references("key", tmp_path / "alone", made)
    (path,) = folder.iterdir()
    (alone,) = (tmp_path / "alone").iterdir()
    assert path.read_bytes() == alone.read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("vitok_core.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        cached_references("key", tmp_path, made)
    assert list(tmp_path.iterdir()) == []
