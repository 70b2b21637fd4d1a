"""Rows of the database as frames of their schema; what no run can have left behind is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from vitok_core.errors import UserError

Schema = Mapping[str, type[pl.DataType]]

# Of a point: what a launch always writes, and what is at least 1 in every tokenizer there is.
_GIVEN = ("config_id", "slug", "variant", "encoder", "decoder", "pixels_per_channel")
_COSTS = ("params_m", "gflops")  # unknown, or above 0
_SIZES = ("p", "q", "c", "L", "E", "resolution", "frames")
_WANTED = {
    (True, False): "a number of at least 1",
    (False, True): "a number above 0",
    (False, False): "a value",
}


def frame(rows: Iterable[Iterable[object]], schema: Schema, source: str) -> pl.DataFrame:
    """Rows in an order of their own, so that the same results give the same files.

    Raises:
        UserError: a value of another type than its column's; SQLite would store it all the same.
    """
    try:
        made = pl.DataFrame([tuple(row) for row in rows], schema=dict(schema), orient="row")
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise UserError(
            f"{source}: a value of {', '.join(schema)} is of another type than its column; "
            "`vitok-sweep db rebuild` makes the database anew, and where that does not help a "
            "launch journal is damaged: launch its sweep again"
        ) from error
    return made.sort([name for name in schema if name != "value"])


def refuse_broken(points: pl.DataFrame, source: str) -> None:
    """Raise UserError at the first point of the view `points` that is no tokenizer."""
    tests = {name: pl.col(name).is_null() | (pl.col(name) < 1) for name in _SIZES}
    tests |= {name: pl.col(name).is_null() for name in _GIVEN}
    tests |= {name: pl.col(name) <= 0 for name in _COSTS}
    for name, broken in tests.items():
        for row in points.filter(broken).head(1).to_dicts():
            value = "none" if row[name] is None else row[name]
            wanted = _WANTED[name in _SIZES, name in _COSTS]
            raise UserError(
                f"{source}: point {row['slug'] or row['point_id']} has {name} {value}, "
                f"expected {wanted}: its launch journal is damaged; launch its sweep again, or "
                "name another by --sweep"
            )
