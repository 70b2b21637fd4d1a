"""What scores need to know of a reference set, kept in the results root for all jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitok_core.arrays import write_array
from vitok_core.errors import UserError
from vitok_core.files import replace_atomically
from vitok_core.metrics.frechet import Array, Gaussian
from vitok_core.metrics.rows import Kept

_ROUNDING = 1e-3  # of the trace: what a covariance may be off, stored in few digits


@dataclass(frozen=True)
class References:
    """A reference set as one network sees it, by layer.

    Args:
        gaussians: of the features.
        rows: the features one by one (n, width), where a score asked for them.
    """

    gaussians: Mapping[str, Gaussian]
    rows: Mapping[str, Kept]


def read_statistics(path: Path, width: int, protocol: str) -> Gaussian:
    """The Gaussian of a reference set from an ADM-style archive: `mu` (d,), `sigma` (d, d).

    Args:
        width: of the features that are compared with it.
        protocol: of their network; an archive that names one in `protocol` must name this one.

    Raises:
        UserError: no such archive, or other statistics than these.
    """
    named, mean, covariance = _archived(path)
    if named not in (None, protocol):
        raise UserError(f"{path}: statistics of {named}; the features are of {protocol}")
    if mean.shape != (width,) or covariance.shape != (width, width):
        found = f"mu {mean.shape} and sigma {covariance.shape}"
        raise UserError(f"{path}: {found}; the features of {protocol} are {width} wide")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError(f"{path}: mu or sigma holds values that are no numbers")
    gaussian = Gaussian.of(mean, (covariance + covariance.T) / 2)
    # The root leaves out what has no root: directions of negative variance.
    trace = float(np.trace(covariance))
    lost = float(np.square(gaussian.root).sum()) - trace
    crooked = float(np.abs(covariance - covariance.T).max())
    if not (trace > 0 and max(abs(lost), crooked) <= _ROUNDING * trace):
        raise UserError(
            f"{path}: sigma is no covariance: it must be symmetric and have no negative eigenvalues"
        )
    return gaussian


def _archived(path: Path) -> tuple[str | None, Array, Array]:
    """The protocol that an archive names, if any, its `mu` and its `sigma`, of any shape."""
    try:
        with np.load(path, allow_pickle=False) as data:
            found = {name: np.asarray(data[name]) for name in ("mu", "sigma")}
            named = str(data["protocol"]) if "protocol" in data else None
    except KeyError as error:
        raise UserError(
            f"{path}: holds no {error.args[0].split()[0]}; expected mu and sigma"
        ) from None
    # What is no archive, or a damaged one, surfaces as almost any exception.
    except Exception as error:
        raise UserError(f"{path}: no readable .npz of statistics ({error})") from error
    for name, values in found.items():
        if not np.issubdtype(values.dtype, np.floating):
            raise UserError(f"{path}: {name} holds {values.dtype}; expected floating-point numbers")
    return named, found["mu"].astype(np.float64), found["sigma"].astype(np.float64)


def find_references(key: str, folder: Path, layers: Iterable[str], kept: bool) -> References | None:
    """The references kept under `key`, all that they depend on; None: there are none, or damaged.

    Args:
        kept: whether the rows are needed too; they lie in files of their own.
    """
    return _read(folder, _stem(key), list(layers), kept)


def keep_references(key: str, folder: Path, references: References) -> None:
    """Keep references for all jobs.

    Two of them may do so at once: both write the same numbers, atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, _stem(key), references)


def _stem(key: str) -> str:
    return f"references-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _read(folder: Path, stem: str, layers: list[str], kept: bool) -> References | None:
    try:
        with np.load(folder / f"{stem}.npz", allow_pickle=False) as data:
            gaussians = {
                layer: Gaussian(data[f"mean {layer}"], data[f"root {layer}"]) for layer in layers
            }
            hashes = {layer: str(data[f"rows {layer}"]) for layer in layers} if kept else {}
        rows = {layer: _mapped(folder / f"{stem}-{hashes[layer]}.npy") for layer in hashes}
        return References(gaussians, rows)
    # Absent or damaged, which surfaces as almost any exception: it is a cache, compute it again.
    except Exception:
        return None


def _mapped(path: Path) -> Kept:
    """Rows as they were written; ValueError where the file's bytes are others."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest()[:16] != path.stem.rpartition("-")[2]:
            raise ValueError(f"{path} is damaged")
    rows: Kept = np.load(path, mmap_mode="r", allow_pickle=False)
    return rows


def _write(folder: Path, stem: str, references: References) -> None:
    arrays: dict[str, Any] = {}
    for layer, gaussian in references.gaussians.items():
        arrays |= {f"mean {layer}": gaussian.mean, f"root {layer}": gaussian.root}
    for layer, rows in references.rows.items():
        arrays[f"rows {layer}"] = _write_rows(folder, stem, rows)
    replace_atomically(folder / f"{stem}.npz", lambda file: np.savez(file, **arrays))


def _write_rows(folder: Path, stem: str, rows: Kept) -> str:
    """Write rows to a file named after its hash, which is returned."""

    digest = _Digest()
    write_array(digest, rows)
    path = folder / f"{stem}-{digest.value}.npy"
    replace_atomically(path, lambda file: write_array(file, rows))
    return digest.value


class _Digest:
    """A file that keeps nothing of what is written but its hash."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    @property
    def value(self) -> str:
        return self._hash.hexdigest()[:16]

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        return len(content)
