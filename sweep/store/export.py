"""Reading out: any SELECT, and the views as files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.journal import sync_folder
from sweep.store.engine import Store
from sweep.store.views import EXPORTED, VIEWS
from vitok_core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars

FORMATS = ("parquet", "csv", "json")


def query(store: Store, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of one statement, which cannot change anything.

    Raises:
        UserError: the database refuses the statement; its own words in one line.
    """
    with store.read() as connection:
        begin = "PRAGMA query_only = ON" if store.sqlite else "SET TRANSACTION READ ONLY"
        connection.exec_driver_sql(begin)
        raw: Any = connection.connection.driver_connection
        driver: Any = store.engine.dialect.loaded_dbapi
        # Prepared, since a server takes several statements at once otherwise, COMMIT among them.
        options = {} if store.sqlite else {"prepare": True}
        try:
            cursor = raw.cursor()
            cursor.execute(sql, **options)
            if cursor.description is None:
                raise UserError("query: the statement returns no rows; a SELECT was expected")
            names = [column[0] for column in cursor.description]
            return names, [tuple(map(_plain, row)) for row in cursor.fetchall()]
        except driver.Error as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"query: {said}{_hint(said)}") from error
        finally:
            if store.sqlite:
                raw.execute("PRAGMA query_only = OFF")


def _plain(value: Any) -> Any:
    """PostgreSQL's averages and sums are decimals."""
    return float(value) if isinstance(value, Decimal) else value


def _hint(said: str) -> str:
    if "readonly" in said or "read-only" in said:
        return " (queries cannot change the index: it is made from the journals)"
    if "no such table" in said or "does not exist" in said:
        return f" (views: {', '.join(EXPORTED)})"
    return ""


def as_json(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """A list of objects; non-finite numbers as in the journals, not-a-number is null."""
    records = [dict(zip(columns, map(_finite, row), strict=True)) for row in rows]
    return json.dumps(records, indent=1, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def export(
    store: Store, out: Path, form: str, views: Sequence[str], *, overwrite: bool = False
) -> list[Path]:
    """Write each view as `out/<view>.<form>`, whole or not at all.

    Raises:
        UserError: a file is there already and `overwrite` is false (nothing is written then), an
            unknown view or format, or a folder that cannot be written.
    """
    unknown = [view for view in views if view not in VIEWS]
    if unknown:
        raise UserError(f"no view {unknown[0]!r}; there are: {', '.join(VIEWS)}")
    if form not in FORMATS:
        raise UserError(f"no format {form!r}; there are: {', '.join(FORMATS)}")
    targets = {view: out / f"{view}.{form}" for view in views}
    there = [str(path) for path in targets.values() if path.exists()]
    if there and not overwrite:
        raise UserError(
            f"{', '.join(there)}: exists; --overwrite replaces it, --out writes elsewhere"
        )
    ours = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for view, path in targets.items():
            with _whole(path) as temporary:
                _write(_frame(store, view), temporary, form)
    except OSError as error:
        with suppress(OSError):  # one holds something, or was never made
            for folder in ours:
                folder.rmdir()
        raise UserError(f"{out}: {error.strerror or error}") from error
    return list(targets.values())


def _frame(store: Store, view: str) -> polars.DataFrame:
    """A view as a frame, its column types by the database's declarations, not by its first rows."""
    import polars

    columns, rows = query(store, f"SELECT * FROM {view}")
    schema = {name: _TYPES.get(name, "String") for name in columns}
    return polars.DataFrame(
        rows,
        schema={name: getattr(polars, kind) for name, kind in schema.items()},
        orient="row",
        strict=False,
    )


_TYPES = {
    **dict.fromkeys(
        ("seed", "p", "q", "c", "L", "E", "resolution", "frames", "eval_length", "eval_E",
         "attempt", "stage", "step", "position"), "Int64",
    ),
    **dict.fromkeys(
        ("pixels_per_channel", "params_m", "gflops", "cfg_scale", "value", "t"), "Float64"
    ),
}  # fmt: skip


def _write(frame: polars.DataFrame, path: Path, form: str) -> None:
    if form == "parquet":
        frame.write_parquet(path)
    elif form == "csv":
        frame.write_csv(path)
    else:
        path.write_text(as_json(frame.columns, frame.rows()) + "\n", "utf-8")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which replaces it when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
