"""Other people's runs from a CSV table: one row a run, sizes and metrics in its columns. Pure but
for reading the file.

What they measured is kept apart from our points: under the table's own name, with its protocols.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sweep.spec.problems import nearest_name
from vitok_core.cost import Shape, tokenizer_macs, tokenizer_parameters
from vitok_core.errors import UserError
from vitok_core.variants import SIZES, Variant

_SIZES = ("p", "q", "c", "L", "E", "resolution", "frames")
_WHOLES = (*_SIZES, "seed")
_REALS = ("params_m", "gflops", "cfg_scale")
_TEXTS = ("name", "variant", "encoder", "decoder", "dataset", "protocol")
COLUMNS = (*_WHOLES, *_REALS, *_TEXTS)
_ALIASES = {
    "patch": "p", "stride": "q", "channels": "c", "tokens": "L", "Name": "name", "cfg": "cfg_scale"
}  # fmt: skip
_OWN = " protocol"  # `rFID protocol`: the protocol of one metric's column
_METRIC = re.compile(r"[rg][A-Z][A-Za-z0-9-]*(\[.*\])?|LPIPS")  # as reports name them
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_OURS = ("db", "ours", "paper", "published")  # sources that figures name so
_LARGEST = 2**53 - 1  # whole numbers beyond it are not exact in JSON
_MOST_SAID = 10
_MOST_BYTES = 50_000_000

T = TypeVar("T")


@dataclass(frozen=True)
class Imported:
    """A table that was read.

    Attributes:
        rows: one per number: the columns of the view `external_metrics`, without `source`.
        unread: columns that are neither sizes nor metrics.
    """

    name: str
    file: str
    sha256: str
    rows: tuple[Mapping[str, Any], ...]
    unread: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """The `import` record of the launcher's journal: whole, in one line."""
        return {
            "name": self.name,
            "file": self.file,
            "sha256": self.sha256,
            "rows": [dict(row) for row in self.rows],
        }


def read_table(
    path: Path,
    name: str,
    *,
    dataset: str | None = None,
    protocol: str | None = None,
    metrics: Sequence[str] = (),
) -> Imported:
    """The runs of a CSV file.

    Args:
        name: what the table is called from now on.
        dataset, protocol: of rows that do not say; a column `METRIC protocol` says it of one.
        metrics: `NAME` or `COLUMN=NAME`; empty: the columns that are called as reports call them.

    Raises:
        UserError: everything that is wrong with the table, by line and column.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--as {name!r}: expected letters, digits and -_.+, a letter or digit first"
        )
    if name in _OURS:
        raise UserError(f"--as {name}: figures call other numbers so; choose another name")
    data = _read(path)
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; save the table as CSV in UTF-8"
        ) from None
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: not CSV: {error}") from error
    if len(lines) < 2:
        raise UserError(f"{path}: expected a line of column names and a line for each run")
    header = [_ALIASES.get(cell.strip(), cell.strip()) for cell in lines[0][1]]
    repeated = sorted({each for each in header if each and header.count(each) > 1})
    if repeated:
        raise UserError(f"{path}: two columns are called {repeated[0]}")
    table = _Table(path, name, dataset, protocol, _metrics(path, header, metrics))
    for line, row in lines[1:]:
        cells = [cell.strip() for cell in row]
        table.take(line, header, cells)
    table.check()
    known = {*COLUMNS, *table.metrics, *(f"{each}{_OWN}" for each in table.metrics)}
    unread = tuple(each for each in header if each and each not in known)
    digest = hashlib.sha256(data).hexdigest()
    return Imported(name, str(path.absolute()), digest, tuple(table.rows), unread)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a CSV table")
    if path.stat().st_size > _MOST_BYTES:
        raise UserError(f"{path}: larger than {_MOST_BYTES // 10**6} MB; that is no table of runs")
    return path.read_bytes()


def _metrics(path: Path, header: Sequence[str], asked: Sequence[str]) -> dict[str, str]:
    """The metrics' names by column."""
    if not asked:
        found = {each: each for each in header if _METRIC.fullmatch(each)}
        if not found:
            raise UserError(
                f"{path}: no column is called as metrics are here (rFID, rPSNR, gFID, LPIPS …); "
                f"--metric COLUMN=NAME says which is one (there are: {', '.join(header)})"
            )
        return found
    chosen = {}
    for each in asked:
        column, equals, name = each.partition("=")
        if equals and not name:
            raise UserError(f"--metric {each}: expected COLUMN or COLUMN=NAME")
        if column not in header:
            near = nearest_name(column, header)
            hint = f"; did you mean {near}?" if near else ""
            raise UserError(f"--metric {each}: {path} has no column {column!r}{hint}")
        chosen[column] = name or column
        if list(chosen.values()).count(chosen[column]) > 1:
            raise UserError(f"--metric {each}: another column is {chosen[column]} already")
    return chosen


@dataclass
class _Table:
    """Gathers rows, and what is wrong with them."""

    path: Path
    name: str
    dataset: str | None
    protocol: str | None
    metrics: Mapping[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    scores: set[str] = field(default_factory=set)  # of reconstructions, beside guidance scales

    def take(self, line: int, header: Sequence[str], row: Sequence[str]) -> None:
        """One run: a row for each of its numbers."""
        before = len(self.problems)
        if len(row) < len(header) or any(row[len(header) :]):
            # Read on, a number with a comma would lose what follows it.
            cut = f"expected {len(header)} cells, as in the first line, got {len(row)}"
            self._problem(line, f"{cut}; a comma within a cell needs quotes around it")
            return
        cells = dict(zip(header, row, strict=False))
        point: dict[str, Any] = {name: cells.get(name) or None for name in _TEXTS}
        point |= {name: self._number(line, cells, name, _size) for name in _SIZES}
        point["seed"] = self._number(line, cells, "seed", _whole)
        point |= {name: self._number(line, cells, name, _real) for name in _REALS}
        if len(self.problems) > before:
            return
        try:
            point |= _sized(point)
        except ValueError as error:
            self._problem(line, str(error))
            return
        described = {**point, "cfg_scale": None}
        point["slug"] = point.pop("name") or f"line {line}"
        point["point_id"] = f"{self.name}/{line}"
        point["config_id"] = self._config(line, point)
        point["dataset"] = point["dataset"] or self.dataset
        protocol = point.pop("protocol") or self.protocol
        for column, metric in self.metrics.items():
            value = self._number(line, cells, column, _value)
            own = cells.get(f"{column}{_OWN}") or protocol
            if value is None:
                continue
            if not own or not point["dataset"]:
                lack = "protocol" if not own else "dataset"
                self._problem(line, f"{column} has no {lack}: add a column {lack}, or --{lack}")
                continue
            kind = "generate" if metric.startswith("g") else "reconstruct"
            told: dict[str, Any] = {"kind": kind, "metric": metric, "protocol": own, "value": value}
            if kind == "reconstruct" and "cfg_scale" in cells:
                # One run's lines at several scales repeat what was scored without any.
                told["cfg_scale"] = None
                score = json.dumps([described, told])
                if score in self.scores:
                    continue
                self.scores.add(score)
            self.rows.append({**point, **told})

    def check(self) -> None:
        """Raise what was wrong."""
        if not self.rows and not self.problems:
            self.problems.append(f"{self.path}: no row has a value of {', '.join(self.metrics)}")
        if self.problems:
            more = len(self.problems) - _MOST_SAID
            said = self.problems[:_MOST_SAID] + [f"… and {more} more"] * (more > 0)
            raise UserError("\n".join(said))

    def _config(self, line: int, point: Mapping[str, Any]) -> str:
        """Rows with seeds that agree in all that describes them are one configuration."""
        if point["seed"] is None:
            return f"{self.name}/{line}"
        told = [point[name] for name in (*_SIZES, "variant", "encoder", "decoder")]
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        return f"{self.name}/{digest[:12]}"

    def _number(
        self, line: int, cells: Mapping[str, str], column: str, read: Callable[[str], T]
    ) -> T | None:
        text = cells.get(column, "")
        if not text:
            return None
        try:
            return read(text)
        except (ValueError, OverflowError):
            wanted = "a whole number" if column in _WHOLES else "a number"
            wanted += " above 0" if column in _SIZES else ""
            self._problem(line, f"{column}: expected {wanted}, got {text!r}")
            return None

    def _problem(self, line: int, said: str) -> None:
        self.problems.append(f"{self.path}:{line}: {said}")


def _whole(text: str) -> int:
    number = float(text)
    if number != int(number) or not 0 <= number <= _LARGEST:
        raise ValueError
    return int(number)


def _size(text: str) -> int:
    number = _whole(text)
    if not number:
        raise ValueError
    return number


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise ValueError
    return number


def _value(text: str) -> float | None:
    """A metric; what a run left as not-a-number is no value."""
    number = float(text)
    return number if math.isfinite(number) else None


def _sized(point: Mapping[str, Any]) -> dict[str, Any]:
    """A run's sizes, from those that it gives; ValueError where they say too little, or differ."""
    variant = None if point["variant"] is None else Variant.parse(point["variant"])
    p = _one("p", point["p"], variant.patch if variant else None)
    q = _one("q", point["q"], variant.stride if variant else None) or 1
    c, frames = point["c"], point["frames"] or 1
    if not p or not c:
        raise ValueError("p and c are needed (p may stand in variant, as in S-B/16)")
    tokens = _one("L", point["L"], _divided(point["E"], c, "E", "c"))
    side = point["resolution"]
    if side is None and tokens is not None:
        across = math.isqrt(tokens * q // frames)
        if across**2 * frames != tokens * q:
            raise ValueError(f"a resolution is needed: {tokens} tokens are no square of patches")
        side = across * p
    if not side:
        raise ValueError("one of E, L and resolution is needed")
    # A latent variant's code is not as long as its patches are many: L or E says it then.
    if tokens is None and (side % p or frames % q):
        raise ValueError(f"resolution {side}, {frames} frames: no multiples of p {p}, q {q}")
    tokens = tokens or (side // p) ** 2 * (frames // q)
    if max(p, q, side, tokens * c) > _LARGEST:
        raise ValueError(f"expected a tokenizer's sizes; its E would be {tokens * c:.3g}")
    encoder = point["encoder"] or (variant and variant.encoder)
    decoder = point["decoder"] or (variant and variant.decoder)
    found: dict[str, Any] = {
        "p": p, "q": q, "c": c, "L": tokens, "E": tokens * c, "resolution": side, "frames": frames,
        "pixels_per_channel": 3.0 * frames * side**2 / (tokens * c),
        "encoder": encoder, "decoder": decoder,
    }  # fmt: skip
    shape = Shape(side, p, c, frames, q)
    if encoder in SIZES and decoder in SIZES and shape.tubelets == tokens:
        towers = SIZES[encoder], SIZES[decoder]
        if point["params_m"] is None:
            found["params_m"] = tokenizer_parameters(*towers, shape) / 1e6
        if point["gflops"] is None:
            found["gflops"] = tokenizer_macs(*towers, shape) / 1e9
    return found


def _one(name: str, given: int | None, told: int | None) -> int | None:
    """The size that is given, or told by another one; both must agree."""
    if given and told and given != told:
        raise ValueError(f"{name} is {given}, and {told} by the other columns")
    return given or told


def _divided(whole: int | None, part: int, name: str, by: str) -> int | None:
    if whole is None:
        return None
    if whole == 0 or whole % part:
        raise ValueError(f"{name} {whole} is no multiple of {by} {part}")
    return whole // part
