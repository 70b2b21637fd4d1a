"""A data set's cached latents: the posterior of every sample, written once, read by generators.

A folder of `shard-00000.safetensors`, … and `latents.json`, which is written last: where it stands,
all shards do. A shard holds `mean` (n, l, c) float32, `logvar` (n, l, c) float16 (half a per cent
of the posterior's width at most), `label` (n,) int64, and where mirror images are cached too,
`mean_flip` and `logvar_flip`. A fresh sample of the posterior is drawn whenever one is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from vitok_core.data.counter import noise, uniforms
from vitok_core.data.order import epoch_order
from vitok_core.errors import UserError

FOLDER = "latents"  # below a job's artifacts
INDEX = "latents.json"
FORMAT = "vitok-sweep latents 1"
_NEEDED = (  # of the index, by readers
    "tokens", "channels", "grid", "flip", "shards", "class_counts", "channel_mean", "channel_std",
)  # fmt: skip
_ANEW = "delete its job's folder and launch again, which encodes the data set anew"


def latents_folder(job: Path) -> Path:
    """Where the job `latents` whose folder is `job` leaves them."""
    return job / "artifacts" / FOLDER


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
            raise UserError(f"{gone}: is gone; {_ANEW}")
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

    def verify(self) -> None:
        """Read every shard once; UserError where one is not, byte for byte, as it was written."""
        for path, shard in zip(map(Path, self._files), self.about["shards"], strict=True):
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != shard["sha256"]:
                raise UserError(
                    f"{path}: is damaged: its SHA-256 is {found[:12]}…, {INDEX} says "
                    f"{shard['sha256'][:12]}…; {_ANEW}"
                )

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
            f"has freed it: {_ANEW}"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: not readable ({error}); {_ANEW}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT!r}; {_ANEW}")
    lacking = [key for key in _NEEDED if key not in document]
    if lacking:
        raise UserError(f"{path}: is damaged, without {lacking[0]}; {_ANEW}")
    return document
