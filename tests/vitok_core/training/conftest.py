"""Shared by the tests of training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from vitok_core.data.images import ImageSource, open_source


@cache
def _opened(name: str, paths: tuple[tuple[str, str], ...]) -> ImageSource:
    return open_source(name, dict(paths))


@pytest.fixture(autouse=True)
def photos_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trainings of this process share the decoded photos, which nobody writes to."""

    def shared(name: str, paths: Mapping[str, str]) -> ImageSource:
        return _opened(name, tuple(paths.items()))

    monkeypatch.setattr("vitok_core.training.setup.open_source", shared)
