"""Figure 4 of the paper: reconstruction metrics over log2 E at 512p."""

from __future__ import annotations

import polars as pl

from analysis.figures.spec import Spec

# Points of one resolution are Figure 2's, unless that is Figure 4's.
_SIDE = pl.col("resolution")
_HIGHEST = (_SIDE.max() == _SIDE) & ((_SIDE.n_unique() > 1) | (_SIDE.max() == 512))

SPEC = Spec(
    id="e_vs_metrics_512p",
    title="Reconstruction metrics over E at the highest resolution (512p)",
    paper="4",
    figures=("4",),
    where=_HIGHEST,
    needs="at 512p or at two resolutions",
    notes=(
        "the paper draws Figure 4 over the E of 256p; here stands the true E of 512p, 4 times as "
        "large: intercepts differ from the paper's line, slopes and R² do not",
    ),
)
