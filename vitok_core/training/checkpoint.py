"""Checkpoints that survive kill -9, full disks and flipped bits.

A checkpoint is a plain `torch.save` file of tensors and plain values, so `torch.load` opens it
anywhere with `weights_only=True`. It holds a digest of its own content: a file that is truncated,
corrupt or of another configuration is passed over, and the next one is tried. Writing is atomic
(`files.replace_atomically`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vitok_core.config import Science
from vitok_core.files import replace_atomically

KEPT = 2
DIGEST = "sha256"
_SLACK = 2**20  # bytes: the file's own overhead, and what a full disk still shows as free
State = dict[str, Any]


class Found(NamedTuple):
    """A checkpoint that was read and proved whole."""

    path: Path
    state: State


def config_sha256(config: Science) -> str:
    """Digest of a resolved configuration: a checkpoint resumes only the config that wrote it.

    Defaults are left out, so that a field added later does not orphan older checkpoints.
    """
    return hashlib.sha256(config.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def weights_hash(state_dict: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bits of all weights: equal only if bit-identical."""
    return _digest(dict(state_dict))


def save_checkpoint(path: Path, state: State) -> None:
    """Write `state` (nested dicts and lists of tensors and plain values) atomically to `path`."""
    content = {**state, DIGEST: _digest(state)}
    try:
        replace_atomically(path, lambda file: torch.save(content, file))
    except RuntimeError as error:  # what torch makes of a failed write
        free = shutil.disk_usage(path.parent).free
        if free <= _size(state) + _SLACK:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            raise full from error
        raise


def _size(value: object) -> int:
    """Bytes of all tensors of a nested value."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 0


def load_checkpoint(path: Path) -> State:
    """Read a checkpoint; raises ValueError where it is damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        digest = state.pop(DIGEST)
    # Damage surfaces as almost any exception: of the zip, the pickle, or of what they should hold.
    except Exception as error:
        raise ValueError(f"{path} is not a readable checkpoint: {error}") from error
    if digest != _digest(state):
        raise ValueError(f"{path} is damaged: its content does not match its sha256")
    return dict(state)


def first_whole(paths: Iterable[Path], config_hash: str) -> Found | None:
    """The first of `paths` that is whole and was written by the same configuration."""
    for path in paths:
        try:
            state = load_checkpoint(path)
        except ValueError:
            continue
        if state.get("config_sha256") == config_hash:
            return Found(path, state)
    return None


def step_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` optimizer steps stands."""
    return folder / f"step-{step:09d}.pt"


def prune(folder: Path, keep: int = KEPT) -> None:
    """Delete all but the furthest `keep` step checkpoints of this attempt's own folder."""
    steps = sorted(folder.glob("step-*.pt"))
    for path in steps[: len(steps) - keep]:
        path.unlink(missing_ok=True)


def _digest(value: object) -> str:
    """SHA-256 of a nested value, through one canonical walk."""
    sha = hashlib.sha256()
    _feed(sha, value)
    return sha.hexdigest()


def _feed(sha: hashlib._Hash, value: object) -> None:
    """Walk dicts in the order of their keys' text, lists in theirs, and tensors as raw bytes."""
    if isinstance(value, Mapping):
        sha.update(b"{")
        for key in sorted(value, key=repr):
            sha.update(repr(key).encode())
            _feed(sha, value[key])
        sha.update(b"}")
    elif isinstance(value, (list, tuple)):
        sha.update(b"[")
        for item in value:
            _feed(sha, item)
        sha.update(b"]")
    elif isinstance(value, Tensor):
        tensor = value.detach().cpu().contiguous()
        sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        sha.update(np.asarray(tensor.reshape(-1).view(torch.uint8)).data)
    else:
        sha.update(repr(value).encode())
