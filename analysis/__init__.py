"""Frames, fits, figures and tables over a results database, and over the paper's own numbers.

    import analysis

    results = analysis.load("results", sweep="quickstart")
    results.measurements  # one tidy polars frame; .to_pandas() for pandas and seaborn
    results.wide(dataset="photos-heldout")
    analysis.load_published().measurements
    analysis.claims.judge(results)

Importing it is cheap: polars, matplotlib, the store and the modules of this package are imported
by what needs them. The whole public interface: docs/analysis.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from analysis import (
        claims,
        figures,
        fits,
        frames,
        guidance,
        measurements,
        metrics,
        page,
        predict,
        published,
        report,
        selection,
        stats,
        tables,
    )
    from analysis.frames import Results

__all__ = [
    "claims", "figures", "fits", "frames", "guidance", "load", "load_published", "measurements",
    "metrics", "page", "predict", "published", "report", "selection", "stats", "tables",
]  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    """`analysis.claims` and the other public modules, imported when they are first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(
    root_or_url: str | Path = "results", *, sweep: str | None = None, db: str | None = None
) -> Results:
    """The results of a root, or of a database, as polars frames; see `analysis.frames.load`."""
    from analysis.frames import load as load_frames

    return load_frames(root_or_url, sweep=sweep, db=db)


def load_published() -> Results:
    """The paper's numbers in the same form; see `analysis.published.measured`."""
    from analysis.published.measured import load_published as load_paper

    return load_paper()
