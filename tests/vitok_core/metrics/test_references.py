"""The cache of what scores need of reference sets."""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from vitok_core.errors import UserError
from vitok_core.metrics.frechet import Gaussian
from vitok_core.metrics.references import (
    References,
    find_references,
    keep_references,
    read_statistics,
)

LAYERS = ("", "112")


def made(seed: int = 0) -> References:
    rng = np.random.default_rng(seed)
    gaussians = {
        layer: Gaussian(rng.normal(size=n), rng.normal(size=(n, n - 1)))
        for layer, n in zip(LAYERS, (12, 5), strict=True)
    }
    rows = {layer: rng.normal(size=(40, 3)).astype(np.float32) for layer in LAYERS}
    return References(gaussians, rows)


def cached(
    key: str, folder: Path, compute: Callable[[], References], rows: bool = True
) -> References:
    """As scores do it."""
    found = find_references(key, folder, LAYERS, rows)
    if found is None:
        found = compute()
        keep_references(key, folder, found)
    return found


def same(a: References, b: References) -> bool:
    pairs = [(a.gaussians[layer], b.gaussians[layer]) for layer in LAYERS]
    equal = all(np.array_equal(x.mean, y.mean) and np.array_equal(x.root, y.root) for x, y in pairs)
    return equal and all(np.array_equal(a.rows[layer], b.rows[layer]) for layer in LAYERS)


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> References:
        self.calls += 1
        return made()


def test_references_are_computed_once_per_key(tmp_path: Path) -> None:
    compute, folder = Counted(), tmp_path / "not there yet"
    for _ in range(3):
        assert same(cached("key", folder, compute), made())
    assert compute.calls == 1
    cached("other key", folder, compute)
    assert compute.calls == 2
    assert len(list(folder.glob("*.npz"))) == 2
    assert len(list(folder.glob("*.npy"))) == 4


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
    np.savez(buffer, **{"mean ": np.zeros(3)})
    return buffer.getvalue()


def _pickled(_: bytes) -> bytes:
    """An archive whose arrays would have to be unpickled: a shared cache must never run code."""
    names = [f"{kind} {layer}" for kind in ("mean", "root", "rows") for layer in LAYERS]
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
@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_a_damaged_cache_is_computed_again(
    tmp_path: Path, damage: Callable[[bytes], bytes], kind: str
) -> None:
    compute = Counted()
    cached("key", tmp_path, compute)
    files = contents(tmp_path)
    path = next(tmp_path.glob(f"*.{kind}"))
    path.write_bytes(damage(files[path.name]))
    # A flipped bit may lie where it does not matter; it never gives other numbers.
    assert same(cached("key", tmp_path, compute), made())
    assert contents(tmp_path) == files or compute.calls == 1


def test_rows_are_asked_for_only_where_they_are_needed(tmp_path: Path) -> None:
    compute = Counted()
    bare = References(made().gaussians, {})
    assert cached("key", tmp_path, lambda: bare, rows=False).rows == {}
    assert len(contents(tmp_path)) == 1
    # Kept without them, and now asked for with them: computed again.
    assert same(cached("key", tmp_path, compute), made())
    assert compute.calls == 1
    cached("key", tmp_path, compute, rows=False)
    assert compute.calls == 1


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _compute_beside(folder: Path, together: Barrier) -> None:
    def compute() -> References:
        together.wait(20)  # both have looked, and found nothing
        return made()

    assert same(cached("key", folder, compute), made())


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
    cached("key", tmp_path / "alone", made)
    assert contents(folder) == contents(tmp_path / "alone")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("vitok_core.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        cached("key", tmp_path, made)
    assert list(tmp_path.iterdir()) == []


PROTOCOL = "inception-2015 6726825d0af5, 299px TF1 bilinear"


def statistics(path: Path, **changes: object) -> Path:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(50, 6))
    arrays = {"mu": x.mean(0), "sigma": np.cov(x, rowvar=False), **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def test_adms_statistics_are_read(tmp_path: Path) -> None:
    """With more beside them: ADM's archives hold the images too, and another network's moments."""
    path = statistics(tmp_path / "adm.npz", arr_0=np.zeros(3, np.uint8), mu_s=np.zeros(2))
    gaussian = read_statistics(path, 6, PROTOCOL)
    with np.load(path) as data:
        np.testing.assert_allclose(gaussian.mean, data["mu"])
        np.testing.assert_allclose(gaussian.root @ gaussian.root.T, data["sigma"], atol=1e-12)
    single = {"mu": np.zeros(6, np.float32), "sigma": np.eye(6, dtype=np.float32)}
    found = read_statistics(statistics(tmp_path / "single.npz", **single), 6, PROTOCOL)
    assert found.mean.dtype == found.root.dtype == np.float64
    named = statistics(tmp_path / "ours.npz", protocol=PROTOCOL)
    assert np.array_equal(read_statistics(named, 6, PROTOCOL).mean, gaussian.mean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mu": None}, "holds no mu; expected mu and sigma"),
        ({"sigma": None}, "holds no sigma"),
        ({"mu": np.zeros(5)}, r"mu \(5,\) and sigma \(6, 6\); the features of inception-2015 .* 6"),
        ({"sigma": np.eye(7)}, r"sigma \(7, 7\)"),
        ({"sigma": np.full((6, 6), np.nan)}, "no numbers"),
        ({"protocol": "vitok-v1 0cc3"}, "statistics of vitok-v1 0cc3; the features are of incep"),
        ({"mu": np.array([{}])}, "no readable .npz"),
        ({"sigma": np.eye(6, dtype=complex)}, "sigma holds complex128; expected floating"),
        ({"mu": np.zeros(6, "M8[s]")}, "mu holds datetime64"),
        ({"sigma": -np.eye(6)}, "sigma is no covariance"),
        ({"sigma": np.diag([1.0, 1, 1, 1, 1, -0.1])}, "sigma is no covariance"),
        ({"sigma": np.triu(np.ones((6, 6)))}, "sigma is no covariance"),
        ({"sigma": np.zeros((6, 6))}, "sigma is no covariance"),
    ],
)
def test_statistics_of_another_kind(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = statistics(tmp_path / "other.npz", **changes)
    with pytest.raises(UserError, match=message) as caught:
        read_statistics(path, 6, PROTOCOL)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_covariance_of_few_digits_is_one(tmp_path: Path) -> None:
    """Of fewer samples than features, in half precision: some eigenvalues come out below zero."""
    x = np.random.default_rng(5).normal(size=(4, 6))
    half = np.cov(x, rowvar=False).astype(np.float16)
    assert np.linalg.eigvalsh(half.astype(np.float64)).min() < -1e-5
    path = statistics(tmp_path / "half.npz", sigma=half)
    root = read_statistics(path, 6, PROTOCOL).root
    np.testing.assert_allclose(root @ root.T, half.astype(np.float64), atol=2e-3)


def test_no_archive_at_all(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "array.npz").write_bytes(_as_npy(b""))
    content = io.BytesIO()
    np.savez_compressed(content, mu=np.zeros(6), sigma=np.eye(6))
    torn = content.getvalue()
    (tmp_path / "torn.npz").write_bytes(torn[:45] + b"\xff" * 30 + torn[75:])
    for name in ("text.npz", "empty.npz", "array.npz", "torn.npz", "gone.npz"):
        with pytest.raises(UserError, match="no readable"):
            read_statistics(tmp_path / name, 6, PROTOCOL)
