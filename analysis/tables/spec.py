"""What one of the paper's tables is, as a declaration: `build` makes the table of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from analysis.frames import Results

# Headings of the printed data sets.
HEADINGS = {"imagenet1k": "ImageNet", "coco2017": "COCO", "ucf101": "UCF-101"}


@dataclass(frozen=True)
class Lead:
    """A column that says what a row is, before the measured ones."""

    key: str  # of the printed table's column
    name: str
    ours: str = ""  # of the measurements' column that fills it in our rows; empty: nothing does
    decimals: int = 0
    numeric: bool = True


@dataclass(frozen=True)
class Spec:
    """A table of measured numbers. Its first lead column holds the row's label."""

    number: int
    title: str
    caption: str
    leads: tuple[Lead, ...]
    needs: str  # which of our measurements belong here, in words …
    where: pl.Expr  # … and as a condition on them
    # Our data sets that are the printed one: our numbers on them stand in its columns.
    datasets: Mapping[str, tuple[str, ...]]
    kind: Literal["reconstruct", "generate"] = "reconstruct"
    resolution: int | None = None  # px of the printed rows; our rows at another one say so
    frames: int = 1
    # What else a row of ours must be, and columns that `leads` name and measurements lack.
    prepare: Callable[[pl.DataFrame, Results], pl.DataFrame] | None = None
    label: str = ""  # a column whose value stands before the label
    baselines: bool = False  # whether codecs and others' tokenizers have rows here
    second_stage: bool = False  # the printed tokenizers are fine-tuned adversarially
    notes: tuple[str, ...] = ()  # about the printed rows

    @property
    def kinds(self) -> list[str]:
        """Of the jobs whose scores it shows."""
        return [self.kind, *(["baseline"] if self.baselines else [])]
