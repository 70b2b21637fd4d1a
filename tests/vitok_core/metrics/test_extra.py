"""Metrics of users' own: what their functions return, and what is no value of an image."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vitok_core import plugins
from vitok_core.config import ExtraMetric
from vitok_core.errors import UserError
from vitok_core.metrics.extra import opened

SOURCE = """\
def good(originals, rebuilt): return (originals - rebuilt).float().flatten(1).mean(1)
def one(originals, rebuilt): return good(originals, rebuilt).mean()
def number(originals, rebuilt): return 3.0
def nothing(originals, rebuilt): return good(originals, rebuilt) / 0
"""


def test_one_finite_value_for_each_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mylab_metric.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    sha256 = plugins.source_sha256("mylab_metric")
    originals, rebuilt = (torch.full((2, 3, 4, 4), each, dtype=torch.uint8) for each in (9, 5))

    def values(function: str) -> torch.Tensor:
        code = f"mylab_metric:{function}"
        config = ExtraMetric(name="mine", code=code, sha256=sha256, version="1")
        return opened(config)[1](rebuilt, originals)

    assert values("good").tolist() == [4.0, 4.0]
    for function, said in (
        ("one", r"evaluation.extra: mine returns \(\), expected one value for each image, \(2,\)"),
        ("number", "mine returns float, expected"),
        ("nothing", "evaluation.extra: mine returns what is no number"),
    ):
        with pytest.raises(UserError, match=said):
            values(function)
