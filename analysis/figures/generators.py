"""Several generators on one page: colour tells them apart, and each has a curve of its own."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from analysis.figures.spec import Mark, Spec
from analysis.figures.style import LOOKS
from analysis.generators import told_apart

_COLUMN = "generator"


def by_generator(spec: Spec, frame: pl.DataFrame) -> tuple[Spec, tuple[str, ...]]:
    """`spec` for the generators in `frame`, and what must be said; as it is where there is one.

    Shapes keep saying what they said, where that differs; else they repeat the colours.
    """
    every = frame[_COLUMN].unique(maintain_order=True)
    own = every.drop_nulls().to_list()
    if len(own) < 2:
        return spec, ()
    names, shared = told_apart(own)
    unnamed = "paper" if "published" in frame["source"] else "not named"
    mark = Mark(_COLUMN, "{}", "generator", names={**names, None: unnamed})
    alone = frame[spec.mark.column].n_unique() == 1
    notes = [f"all generators: {shared}"] * bool(shared)
    if len(spec.lines) > 1 and not alone:
        notes.append("several generators: each has one curve, for all patch sizes")
    if not alone and len(every) > LOOKS:
        notes.append(f"{len(every)} generators share {LOOKS} colours")
    drawn = replace(
        spec,
        mark=mark if alone else spec.mark,
        colours=mark,
        lines=tuple(replace(line, by=(_COLUMN,)) for line in spec.lines[:1]),
        notes=(),
    )
    return drawn, tuple(notes)
