"""Frames, fits, figures and tables over a results database.

    import analysis

    results = analysis.load("results", sweep="quickstart")
    results.point_metrics.query("metric == 'rPSNR'")
    results.wide(dataset="photos-heldout")

Importing it is cheap: pandas, matplotlib and the store are imported by what needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.frames import Results

__all__ = ["load"]


def load(
    root_or_url: str | Path = "results", *, sweep: str | None = None, db: str | None = None
) -> Results:
    """The results of a root, or of a database, as pandas frames; see `analysis.frames.load`."""
    from analysis.frames import load as load_frames

    return load_frames(root_or_url, sweep=sweep, db=db)
