"""`db check`: does the index kept up to date equal one made from the journals alone?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, String, Table, collate, select

from sweep.layout import Root
from sweep.store import schema
from sweep.store.engine import Store
from sweep.store.files import Source, scan
from sweep.store.rebuild import scratch
from sweep.store.sync import ingest, read_offsets, sync

_TRIES = 3  # a file that came to be in the middle of a comparison is no difference
_SHOWN = 3

Row = tuple[Any, ...]


def check(store: Store, root: Root) -> list[str]:
    """Where the index, brought up to date, differs from a rebuild; [] when they are equal.

    Others may write journals and sync meanwhile: both sides are cut at the same offsets.
    """
    found: list[str] = []
    for _ in range(_TRIES):
        found = _differences(store, root)
        if not found:
            break
    return found


def _differences(store: Store, root: Root) -> list[str]:
    due = {source.path: source.size for source in scan(root, {}).sources}
    sync(store, root)
    with scratch(store.file, root) as fresh, store.read() as kept:
        offsets = read_offsets(kept)
        ingest(fresh, root, list(_cut(scan(root, {}).sources, due, offsets)))
        with fresh.read() as made:
            tables = schema.metadata.sorted_tables
            differences = [line for table in tables for line in _compare(kept, made, table)]
    gone = scan(root, offsets).warnings  # shrunk and vanished files explain differences
    return [*differences, *gone] if differences else []


def _cut(
    sources: Sequence[Source], due: Mapping[str, int], offsets: Mapping[str, int]
) -> Iterator[Source]:
    """The files as the index should have read them.

    What was there before the sync must be in the index; what has been written since is left out,
    unless another caller's sync has taken it in already.
    """
    for source in sources:
        if source.path in due or source.path in offsets:
            size = max(due.get(source.path, 0), offsets.get(source.path, 0))
            yield Source(source.role, source.path, size, source.owner, source.number)


def _compare(kept: Connection, made: Connection, table: Table) -> list[str]:
    """One line per kind of difference in a table, with examples."""
    key = [column.name for column in table.primary_key.columns]
    places = [list(table.columns.keys()).index(name) for name in key]
    extra: list[Row] = []
    missing: list[Row] = []
    changed: list[Row] = []
    for mine, theirs in _merged(_ordered(kept, table), _ordered(made, table), places):
        if theirs is None and mine is not None:
            extra.append(mine)
        elif mine is None and theirs is not None:
            missing.append(theirs)
        elif mine != theirs and mine is not None:
            changed.append(mine)
    found = {
        "only in the index": extra,
        "only in a rebuild": missing,
        "with other values in a rebuild": changed,
    }
    return [
        f"{table.name}: {len(rows)} row(s) {what}, e.g. {_examples(rows, key, places)}"
        for what, rows in found.items()
        if rows
    ]


def _ordered(connection: Connection, table: Table) -> Iterator[Row]:
    """All rows by key, strings in code-point order on every database."""
    plain = connection.dialect.name == "sqlite"
    order = [
        column if plain or not isinstance(column.type, String) else collate(column, "C")
        for column in table.primary_key.columns
    ]
    query = select(table).order_by(*order).execution_options(yield_per=10_000)
    for row in connection.execute(query):
        yield tuple(row)


def _merged(
    left: Iterator[Row], right: Iterator[Row], places: Sequence[int]
) -> Iterator[tuple[Row | None, Row | None]]:
    """Rows of two ordered streams paired by key; None where one side has no such row."""
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        mine_key = None if mine is None else tuple(mine[place] for place in places)
        their_key = None if theirs is None else tuple(theirs[place] for place in places)
        if their_key is None or (mine_key is not None and mine_key < their_key):
            yield mine, None
            mine = next(left, None)
        elif mine_key is None or their_key < mine_key:
            yield None, theirs
            theirs = next(right, None)
        else:
            yield mine, theirs
            mine, theirs = next(left, None), next(right, None)


def _examples(rows: Sequence[Row], key: Sequence[str], places: Sequence[int]) -> str:
    return "; ".join(
        " ".join(f"{name}={row[place]}" for name, place in zip(key, places, strict=True))
        for row in islice(rows, _SHOWN)
    )
