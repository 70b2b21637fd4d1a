"""The paper's own numbers: points and fits of its figures, rows of its tables (README.md here).

Every frame is read once and shared: polars frames cannot be changed in place.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files

import polars as pl

from vitok_core.errors import UserError

PAPER = "ViTok, arXiv 2501.09755"
TABLES = (1, 2, 3, 4, 5, 6, 7)


@cache
def points(distinct: bool = True) -> pl.DataFrame:
    """The points of the data figures, as read from their vector graphics; columns: README.md.

    Args:
        distinct: each measurement once, under the first figure that shows it (670 rows); else
            every drawn mark (1,010 rows).
    """
    everything = _read("points.csv")
    return everything.filter(pl.col("dup_of").is_null()) if distinct else everything


@cache
def fits() -> pl.DataFrame:
    """The 58 lines that the figures draw, with their printed R², and 12 quadratics of our own.

    Figure 4's are over the E that it plots, a quarter of the true one; see README.md.
    """
    return _read("fits.csv")


@cache
def table(number: int) -> pl.DataFrame:
    """Table `number` as printed: every cell is text, so that 0.50 stays 0.50; `-` where empty.

    A column of measured values is called `data set/metric`.

    Raises:
        UserError: the paper has no such table.
    """
    if number not in TABLES:
        raise UserError(f"no table {number} (there are: {', '.join(map(str, TABLES))})")
    return pl.read_csv(_bytes(f"table{number}.csv"), infer_schema=False)


def drawn(figure: str) -> pl.DataFrame:
    """The rows of one figure, those that an earlier figure shows too among them.

    Raises:
        UserError: no points of such a figure.
    """
    known = points(distinct=False)["figure"].unique(maintain_order=True).to_list()
    if figure not in known:
        near = difflib.get_close_matches(figure, known, 1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise UserError(f"no published points of figure {figure!r}{hint} (there are: "
                        f"{', '.join(known)})")  # fmt: skip
    return points(distinct=False).filter(pl.col("figure") == figure)


def _read(name: str) -> pl.DataFrame:
    return pl.read_csv(
        _bytes(name), infer_schema_length=None, schema_overrides={"figure": pl.String}
    )


def _bytes(name: str) -> bytes:
    return files("analysis.published").joinpath(name).read_bytes()
