"""Other people's runs, imported under a name: a source of its own beside ours and the paper's.

They are measurements like any other, but of no point of ours: no job, sweep or claim knows them,
and no fit takes them in with ours, for a line belongs to one source.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import polars as pl

from analysis.lineage import tower_millions
from analysis.measurements import SCHEMA, tidy
from vitok_core.errors import UserError

_PREFIX = "external "


def external_source(name: str) -> str:
    """The `source` of the measurements of an imported table."""
    return f"{_PREFIX}{name}"


def whose(source: str, ours: str = "ours", paper: str = "paper") -> str:
    """A source in a word or two: of an imported table its name."""
    return {"db": ours, "published": paper}.get(source, source.removeprefix(_PREFIX))


def is_external(source: str) -> bool:
    """Whether a source is an imported table."""
    return source.startswith(_PREFIX)


def chosen(external: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The measurements (`measurements.SCHEMA`) of the imported tables so named.

    Args:
        external: the view `external_metrics`, columns `frames.EXTERNAL`.

    Raises:
        UserError: no such table.
    """
    known = external["source"].unique().sort().to_list()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            there = f" (there are: {', '.join(known)})" if known else ""
            raise UserError(f"nothing was imported as {name!r}{hint}{there}")
    rows = external.filter(pl.col("source").is_in(list(names))).with_columns(
        source=pl.concat_str(pl.lit(_PREFIX), "source"),
        series=pl.lit("trained"),
        # Each run is a tokenizer of its own, and what it scored was scored together.
        tokenizer=pl.col("point_id"),
        job_id=pl.col("point_id"),
        variant=pl.lit("simple"),
        encoder_params_m=_millions("encoder"),
        decoder_params_m=_millions("decoder"),
    )
    missing = [pl.lit(None).alias(name) for name in SCHEMA if name not in rows.columns]
    return tidy(rows.with_columns(missing))


def _millions(tower: str) -> pl.Expr:
    return pl.col(tower).map_elements(tower_millions, return_dtype=pl.Float64)
