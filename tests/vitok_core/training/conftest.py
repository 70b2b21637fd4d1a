"""Shared by the tests of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest
import torch
from finetuning import context_of, parent
from recording import RecordingContext

from vitok_core.context import Parent
from vitok_core.data.images import ImageSource, VideoSource
from vitok_core.data.opening import open_source
from vitok_core.data.photos import Photos

_photos = cache(Photos)


@pytest.fixture(autouse=True)
def photos_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trainings of this process share the decoded photos, which nobody writes to."""

    def shared(name: str, paths: Mapping[str, str], folder: Path) -> ImageSource | VideoSource:
        kind, _, split = name.partition("-")
        return _photos(split) if kind == "photos" else open_source(name, paths, folder)

    monkeypatch.setattr("vitok_core.data.opening.open_source", shared)


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    """A tokenizer to fine-tune."""
    torch.set_num_threads(1)
    return parent(tmp_path_factory.mktemp("parent"))


@pytest.fixture
def new(tmp_path: Path, trained: Parent) -> Callable[..., RecordingContext]:
    """A stage-2 context of that parent in a folder of its own."""
    return lambda name="job", attempt=1, **machine: context_of(
        tmp_path / name, trained, attempt, **machine
    )
