"""A data set's cached latents: the posterior of every sample, written once, read by generators.

A folder of `shard-00000.safetensors`, … and `latents.json`, which is written last: where it stands,
all shards do. A shard holds `mean` (n, l, c) float32, `logvar` (n, l, c) float16 (half a per cent
of the posterior's width at most), `label` (n,) int64, and where mirror images are cached too,
`mean_flip` and `logvar_flip`. A fresh sample of the posterior is drawn whenever one is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vitok_core.data.counter import noise, uniforms
from vitok_core.data.order import epoch_order
from vitok_core.errors import UserError
from vitok_core.files import replace_atomically

FOLDER = "latents"  # below a job's artifacts
INDEX = "latents.json"
FORMAT = "vitok-sweep latents 1"
_SHARD_BYTES, _SHARD_SAMPLES = 2**28, 1024
_ELEMENT = 4 + 2  # bytes of one mean and one log-variance


def latents_folder(job: Path) -> Path:
    """Where the job `latents` whose folder is `job` leaves them."""
    return job / "artifacts" / FOLDER


def shard_samples(tokens: int, channels: int, flip: bool) -> int:
    """How many samples a shard holds: what a restart may lose, and a file of 256 MB at most."""
    each = tokens * channels * _ELEMENT * (2 if flip else 1)
    return max(1, min(_SHARD_SAMPLES, _SHARD_BYTES // each))


class Encoded(NamedTuple):
    """Some samples' posteriors (n, l, c), in order, and their classes (n,) int64.

    `mean_flip` and `logvar_flip` are those of the mirror images; None: not cached.
    """

    mean: Tensor
    logvar: Tensor
    label: Tensor
    mean_flip: Tensor | None = None
    logvar_flip: Tensor | None = None

    @property
    def views(self) -> list[tuple[Tensor, Tensor]]:
        """(mean, logvar) of the samples, and of their mirror images where they are cached."""
        views = [(self.mean, self.logvar)]
        if self.mean_flip is not None and self.logvar_flip is not None:
            views.append((self.mean_flip, self.logvar_flip))
        return views


Record = Mapping[str, Any]  # what `latents.json` needs to know of a shard


class LatentWriter:
    """Writes shards, each whole or not at all, in any order; `finish` makes a set of them.

    Attributes:
        records: of the shards that this one knows of, by number.

    Args:
        folder: where they go.
        made_of: all that the latents depend on (tokenizer, data, what is cached). Shards of an
            earlier attempt are taken over where it is the same.
    """

    def __init__(self, folder: Path, made_of: Mapping[str, str]) -> None:
        self.folder = folder
        text = json.dumps(dict(made_of), sort_keys=True)
        self._made_of = hashlib.sha256(text.encode()).hexdigest()
        self.records: dict[int, Record] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def has(self, number: int) -> bool:
        """Whether shard `number` is here, whole and made of the same."""
        if number not in self.records:
            found = self._look(self._path(number))
            if found is None:
                return False
            self.records[number] = found
        return True

    def write(self, number: int, shard: Encoded) -> None:
        """Write shard `number`; an empty one, of samples that could not be read, is none."""
        tensors = {"label": shard.label.to(torch.int64)}
        for suffix, (mean, logvar) in zip(("", "_flip"), shard.views, strict=False):
            tensors[f"mean{suffix}"] = mean.to(torch.float32).contiguous()
            tensors[f"logvar{suffix}"] = logvar.to(torch.float16).contiguous()
            if not (mean.isfinite().all() and logvar.isfinite().all()):
                raise UserError(
                    f"latents: shard {number} has codes that are not finite; the tokenizer is "
                    "broken: see its reconstructions"
                )
        content = save({**tensors, **_moments(shard)}, {"made_of": self._made_of})
        replace_atomically(self._path(number), lambda file: file.write(content))
        if not self.has(number):
            raise OSError(f"{self._path(number)}: is not what was written")

    def finish(self, about: Mapping[str, Any]) -> Path:
        """Write `latents.json` over the shards of `records`; returns its path.

        Args:
            about: what else it shall say: grid, tokenizer, fingerprint of the data, …
        """
        shards = [self.records[number] for number in sorted(self.records)]
        filled = [shard for shard in shards if shard["n"]]
        if not filled:
            raise UserError("latents: no sample could be encoded")
        mean, std = _merged([shard["moments"] for shard in filled])
        counts = _added([shard["counts"] for shard in filled])
        document = {
            "format": FORMAT,
            "n": sum(shard["n"] for shard in filled),
            **{key: filled[0][key] for key in ("tokens", "channels", "flip")},
            "classes": sum(count > 0 for count in counts),
            "class_counts": counts,
            "channel_mean": mean,
            "channel_std": std,
            **about,
            "shards": [{key: shard[key] for key in ("file", "n", "sha256")} for shard in filled],
        }
        path = self.folder / INDEX
        text = json.dumps(document, indent=1) + "\n"
        replace_atomically(path, lambda file: file.write(text.encode()))
        return path

    def _path(self, number: int) -> Path:
        return self.folder / f"shard-{number:05d}.safetensors"

    def _look(self, path: Path) -> Record | None:
        """What a shard holds; None where it is absent, damaged or made of something else."""
        try:
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get("made_of") != self._made_of:
                    return None
                n, tokens, channels = file.get_slice("mean").get_shape()
                label = file.get_tensor("label")
                moments = {name: file.get_tensor(f"moments.{name}") for name in _MOMENTS}
                flip = "mean_flip" in file.keys()  # noqa: SIM118  (not a mapping)
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except (OSError, SafetensorError):
            return None
        return {
            "file": path.name,
            "n": n,
            "sha256": digest,
            "tokens": tokens,
            "channels": channels,
            "flip": flip,
            "moments": moments,
            "counts": torch.bincount(label).tolist(),
        }


_MOMENTS = ("rows", "mean", "scatter")


def _moments(shard: Encoded) -> dict[str, Tensor]:
    """A shard's part of the statistics per channel, in float64: mean, and the scatter about it of
    samples of the posterior (expected: that of the means, and all posterior variances)."""
    mean = torch.cat([view.flatten(0, 1) for view, _ in shard.views]).double()
    variance = sum(logvar.flatten(0, 1).double().exp().sum(0) for _, logvar in shard.views)
    centre = mean.mean(0) if len(mean) else mean.sum(0)
    return {
        "moments.rows": torch.tensor(len(mean)),
        "moments.mean": centre,
        "moments.scatter": (mean - centre).square().sum(0) + variance,
    }


def _merged(parts: Sequence[Mapping[str, Tensor]]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel over all shards."""
    rows = torch.stack([part["rows"] for part in parts]).double()
    means, scatters = (torch.stack([part[name] for part in parts]) for name in ("mean", "scatter"))
    mean = (rows[:, None] * means).sum(0) / rows.sum()
    scatter = (scatters + rows[:, None] * (means - mean).square()).sum(0)
    return mean.tolist(), (scatter / rows.sum()).sqrt().tolist()


def _added(counts: Sequence[Sequence[int]]) -> list[int]:
    total = np.zeros(max(map(len, counts)), np.int64)
    for each in counts:
        total[: len(each)] += each
    return [int(count) for count in total]


class LatentSet:
    """The latents that a finished job `latents` left, memory-mapped.

    Attributes:
        tokens, channels: l and c of a code.
        grid: of its tubelets (t, h, w); (l,) where its tokens are latent.
        classes: how many there are; those that no sample has are not counted, and the others are
            numbered without gaps.
        mean, std: (c,) float32, of samples of the posterior.
        about: all of `latents.json`.

    Args:
        folder: of `latents.json`.
        classes: 1: take all samples as of one class; None: the data's own.

    Raises:
        UserError: no such folder, shards that are gone, or data without classes where they are
            asked for.
    """

    def __init__(self, folder: Path, classes: int | None = None) -> None:
        self.folder, self.about = folder, _read_index(folder)
        self.tokens, self.channels = int(self.about["tokens"]), int(self.about["channels"])
        self.grid = tuple(int(size) for size in self.about["grid"])
        self.flip = bool(self.about["flip"])
        self._views = ("", "_flip") if self.flip else ("",)
        self._opened: dict[int, dict[str, Any]] = {}
        self._files = [str(folder / shard["file"]) for shard in self.about["shards"]]
        gone = next((file for file in self._files if not Path(file).is_file()), None)
        if gone is not None:
            raise UserError(f"{gone}: is gone; encode this data set again")
        self._ends = np.cumsum([shard["n"] for shard in self.about["shards"]])
        self.mean, self.std = (
            torch.tensor(self.about[name], dtype=torch.float32)
            for name in ("channel_mean", "channel_std")
        )
        counts = self.about["class_counts"]
        present = [label for label, count in enumerate(counts) if count]
        if classes is None and len(present) == 1:
            raise UserError(
                f"{folder}: the data set {self.about.get('dataset', '')} has no classes; set "
                "generator.classes=1, or encode data with classes"
            )
        self.classes = len(present) if classes is None else classes
        self._class_of = torch.zeros(len(counts), dtype=torch.int64)
        if classes is None:
            self._class_of[present] = torch.arange(len(present))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def batch(self, indices: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
        """Codes (b, l, c) float32 and labels (b,) of a training's global sample indices.

        Sample i is of epoch i // len; each epoch has every code once, in an order of its own. Its
        code is a fresh sample of the posterior, of the mirror image for half of them: all are
        functions of (seed, i).
        """
        rows = [self._row(i, seed) for i in indices]
        mirrored = [self.flip and float(uniforms(seed, "latents flip", i, 1)[0]) < 0.5
                    for i in indices]  # fmt: skip
        found = [self.posterior(*each) for each in zip(rows, mirrored, strict=True)]
        mean, logvar = (torch.stack(each) for each in zip(*found, strict=True))
        drawn = noise(seed, "latents", indices, (self.tokens, self.channels))
        return mean + (0.5 * logvar).exp() * drawn, self.labels(rows)

    def posterior(self, row: int, mirrored: bool = False) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (l, c) float32 of the set's sample number `row`."""
        shard, place = self._place(row)
        suffix = "_flip" if mirrored else ""
        mean, logvar = (self._open(shard)[f"{name}{suffix}"][place] for name in ("mean", "logvar"))
        return mean.float(), logvar.float()

    def labels(self, rows: Sequence[int]) -> Tensor:
        """Classes (n,) int64 of samples by their number in the set."""
        places = [self._place(row) for row in rows]
        labels = torch.stack([self._open(shard)["label"][place] for shard, place in places])
        return self._class_of[labels]

    def __getstate__(self) -> dict[str, Any]:
        # Open files stay with their process.
        return {**vars(self), "_opened": {}}

    def _open(self, shard: int) -> dict[str, Any]:
        """A shard's labels and, on disk still, its codes."""
        if shard not in self._opened:
            file: Any = safe_open(self._files[shard], framework="pt")
            names = [f"{name}{view}" for name in ("mean", "logvar") for view in self._views]
            slices = {name: file.get_slice(name) for name in names}
            self._opened[shard] = {**slices, "label": file.get_tensor("label")}
        return self._opened[shard]

    def _row(self, i: int, seed: int) -> int:
        epoch, place = divmod(i, len(self))
        return int(epoch_order(seed, epoch, len(self), None)[place])

    def _place(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"sample {row} of {len(self)}")
        shard = int(self._ends.searchsorted(row, "right"))
        return shard, row - int(self._ends[shard] - self.about["shards"][shard]["n"])


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder}: no {INDEX}; the job that encodes this is not finished, or `vitok-sweep gc` "
            "has freed it: encode it again, in another results root"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not readable ({error}); encode this data set again") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT!r}; encode this data set again")
    return document
