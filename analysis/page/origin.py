"""Provenance and cost: by which code, on what, from which data, for how long."""

from __future__ import annotations

import json

import polars as pl

from analysis.page.ledger import Ledger
from analysis.page.table import Cell, Column, Table, cell, cells, moment, span
from analysis.records import attempt_seconds
from sweep.layout import Root


def provenance(ledger: Ledger, points: pl.DataFrame) -> list[Table]:
    """Code, packages, machines, data sets, seeds; a table of each."""
    return [
        _code(ledger), _packages(ledger.attempts), _machines(ledger.attempts),
        _data_sets(ledger.data_sets), _seeds(points), *_adopted(ledger.attempts),
    ]  # fmt: skip


def cost(ledger: Ledger) -> Table:
    """Time per kind of job and device; an attempt holds one device as long as it runs."""
    finished = pl.col("outcome") == "finished"
    rows = (
        ledger.attempts.filter(pl.col("adopted").is_null())
        .join(ledger.jobs.select("job_id", "kind"), on="job_id", how="left")
        .with_columns(
            used=attempt_seconds().fill_null(0.0), finished=finished.fill_null(value=False)
        )
        .group_by("kind", "device", maintain_order=True)
        .agg(
            jobs=pl.col("job_id").n_unique(),
            done=pl.col("finished").sum(),
            attempts=pl.len(),
            median=pl.col("used").filter("finished").median(),
            longest=pl.col("used").filter("finished").max(),
            total=pl.col("used").sum(),
            lost=pl.col("used").filter(~pl.col("finished")).sum(),
        )
        .sort("total", "kind", "device", descending=[True, False, False])
    )
    columns = (
        Column("kind of job"), Column("device"), Column("jobs", True), Column("finished", True),
        Column("attempts", True), Column("median job", True), Column("longest job", True),
        Column("device-hours", True), Column("of these without a result", True),
    )  # fmt: skip
    body = [_cost_row(row) for row in rows.to_dicts()]
    if len(body) > 1:
        sums = {name: rows[name].sum() for name in ("jobs", "done", "attempts", "total", "lost")}
        body.append(_cost_row({"kind": "all", "median": None, "longest": None, **sums}))
    return Table("Time by kind of job", columns, body)


def device_hours(ledger: Ledger) -> float:
    """All time that devices were held for."""
    return sum(row[7].value or 0.0 for row in cost(ledger).rows if row[0].text != "all")


def _cost_row(row: dict[str, object]) -> list[Cell]:
    total, lost = (float(str(row[name])) / 3600 for name in ("total", "lost"))
    median, longest = (
        None if row[name] is None else float(str(row[name])) for name in ("median", "longest")
    )
    return [
        *cells((row["kind"], row.get("device"), row["jobs"], row["done"], row["attempts"])),
        span(median), span(longest), cell(total, 3), cell(lost, 3),
    ]  # fmt: skip


def _code(ledger: Ledger) -> Table:
    rows = (
        ledger.attempts.drop_nulls("code")
        .group_by("code")
        .agg(pl.len(), pl.col("started").min(), pl.col("last_t").max())
        .sort("started", "code")
    )
    columns = (
        Column("code"), Column("commit"), Column("changed since"), Column("attempts", True),
        Column("first used"), Column("last record"),
    )  # fmt: skip
    body = [
        [Cell(code, mark="id"), *_commit(Root(ledger.root), code), cell(n), moment(first),
         moment(last)]
        for code, n, first, last in rows.rows()
    ]  # fmt: skip
    return Table("Code that ran", columns, body)


def _commit(root: Root, code: str) -> list[Cell]:
    """Which commit a frozen copy is, and whether it differed; empty where that is not known."""
    try:
        text = (root.code / code / "origin.json").read_text("utf-8")
        origin = json.loads(text)
        commit, diff = origin.get("commit"), origin.get("diff")
    except (OSError, ValueError, AttributeError):
        return cells(("", ""))
    lines = [line for line in str(diff or "").splitlines() if line[:1] in "+-"]
    changed = sum(not line.startswith(("+++", "---")) for line in lines)
    said = f"{changed} lines" if changed else "nothing"
    return [Cell(str(commit or "not in git"), mark="id"), Cell(said if commit else "")]


def _packages(attempts: pl.DataFrame) -> Table:
    """Every version that took part; several of one package deserve a second look."""
    seen: dict[tuple[str, str], int] = {}
    for packages, n in (
        attempts.drop_nulls("packages").group_by("packages").len().sort("packages").rows()
    ):
        for name, version in json.loads(packages).items():
            seen[name, str(version)] = seen.get((name, str(version)), 0) + n
    names = [name for name, _ in seen]
    rows = [
        [Cell(name), Cell(version, mark="several" if names.count(name) > 1 else ""), cell(n)]
        for (name, version), n in sorted(seen.items())
    ]
    return Table("Packages", (Column("package"), Column("version"), Column("attempts", True)), rows)


def _machines(attempts: pl.DataFrame) -> Table:
    keys = ["host", "device", "precision", "threads", "scheduler"]
    rows = attempts.group_by(keys).len().sort(keys)
    columns = (
        Column("host"), Column("device"), Column("precision"), Column("threads", True),
        Column("scheduler"), Column("attempts", True),
    )  # fmt: skip
    return Table("Machines", columns, [cells(row) for row in rows.rows()])


def _data_sets(data_sets: pl.DataFrame) -> Table:
    keys = ["name", "version", "fingerprint"]
    rows = data_sets.group_by(keys).agg(pl.col("job_id").n_unique()).sort(keys)
    columns = (Column("data set"), Column("version"), Column("fingerprint"), Column("jobs", True))
    return Table("Data sets", columns, [
        [Cell(name), cell(version), Cell(fingerprint or "", mark="id"), cell(n)]
        for name, version, fingerprint, n in rows.rows()
    ])  # fmt: skip


def _adopted(attempts: pl.DataFrame) -> list[Table]:
    """Weights that were trained elsewhere: of which job they are taken as the result."""
    told = attempts.drop_nulls("adopted").sort("job_id").select("job_id", "adopted").rows()
    columns = (Column("job"), Column("from"), Column("SHA-256"), Column("compared"))
    compared = {"weights": "names and shapes alone"}
    rows = [
        [Cell(job, mark="id"), Cell(about["source"]), Cell(about["sha256"], mark="id"),
         Cell(compared.get(about.get("form"), "configuration, names and shapes"))]
        for job, about in ((job, json.loads(text)) for job, text in told)
    ]  # fmt: skip
    return [Table("Adopted: trained elsewhere", columns, rows)] if rows else []


def _seeds(points: pl.DataFrame) -> Table:
    rows = points.group_by("seed").agg(pl.len(), pl.col("config_id").n_unique()).sort("seed")
    columns = (Column("seed"), Column("points", True), Column("configurations", True))
    return Table("Seeds", columns, [cells(row) for row in rows.rows()])
