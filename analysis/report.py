"""From results to files: a figure in every format, the data that it shows and its fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from analysis.configurations import KEYS
from analysis.figures import FIGURES, Figure, Request, find
from analysis.fits import LINEAR, Line, LineFit, fit_lines
from analysis.floor import (
    AgainstCodec,
    AgainstFloor,
    against_codecs,
    against_floor,
    differences,
    uncompared,
)
from analysis.frames import Results
from analysis.guidance import guidance
from analysis.writing import Unwritable, put
from vitok_core.errors import UserError

FORMATS = ("pdf", "svg", "png")  # of figures


@dataclass(frozen=True, eq=False)
class Report:
    """What one figure left behind."""

    figure: str
    files: tuple[Path, ...]
    fits: list[LineFit]
    floor: list[AgainstFloor]
    notes: tuple[str, ...]
    findings: tuple[dict[str, Any], ...] = ()

    def record(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "figure": self.figure,
            "files": [str(path) for path in self.files],
            "fits": [*(fit.record() for fit in self.fits), *self.findings],
            "floor": [one.record() for one in self.floor],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class Album:
    """Every figure that has data, and why the others have none."""

    reports: list[Report]
    missing: dict[str, str]  # figure → reason

    def record(self) -> dict[str, Any]:
        """For `--json`."""
        return {"figures": [one.record() for one in self.reports], "missing": self.missing}


@dataclass(frozen=True, eq=False)
class Overview:
    """Every metric on every data set, without a figure."""

    fits: list[LineFit]
    floor: list[AgainstFloor]
    differences: pl.DataFrame
    codecs: list[AgainstCodec]
    uncompared: list[tuple[str, int | None]]  # codecs, and their E
    guidance: pl.DataFrame
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For `--json`."""
        points = self.differences.rename({"metric": "panel"}).to_dicts()
        return {
            "fits": [fit.record() for fit in self.fits],
            "floor": [one.record() for one in self.floor],
            "floor_points": points,
            "codecs": [one.record() for one in self.codecs],
            "codecs_not_compared": [{"codec": name, "E": size} for name, size in self.uncompared],
            "guidance": self.guidance.to_dicts(),
            "notes": list(self.notes),
        }


def draw(
    results: Results,
    figure: str,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    datasets: Sequence[str] = (),
) -> Report:
    """Write `figure` below `out`: FIGURE.pdf …, FIGURE.csv and FIGURE.fits.json.

    Each file is replaced as a whole; on the same results all of them come out byte-identical.

    Raises:
        UserError: an unknown figure, format or data set, nothing to draw, a folder that cannot be
            written.
    """
    chosen = find(figure)
    return _drawn(chosen, results, out, parse_formats(",".join(formats)), datasets)


def draw_all(
    results: Results,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    datasets: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Album:
    """Write every figure of the registry for which there is data; see `draw`.

    Args:
        tell: called with a line before each figure, for it takes seconds.

    Raises:
        UserError: no figure has any data, an unknown format, a folder that cannot be written.
    """
    wanted = parse_formats(",".join(formats))
    reports: list[Report] = []
    missing: dict[str, str] = {}
    for number, chosen in enumerate(FIGURES.values(), 1):
        tell(f"figure {number} of {len(FIGURES)}: {chosen.id}")
        try:
            reports.append(_drawn(chosen, results, out, wanted, datasets))
        except Unwritable:
            raise
        except UserError as reason:
            missing[chosen.id] = str(reason)
    if not reports:
        raise UserError(f"no figure has data; the first: {next(iter(missing.values()))}")
    return Album(reports, missing)


def _drawn(
    chosen: Figure, results: Results, out: Path, formats: Sequence[str], datasets: Sequence[str]
) -> Report:
    """Nothing is written before all formats are there."""
    from analysis.figures import style

    figure, notes = chosen.id, list[str]()
    with style.lacking_glyphs(notes):
        drawing = chosen.draw(results, Request(datasets=tuple(datasets)))
        files = {f"{figure}.{form}": style.rendered(drawing.canvas, form) for form in formats}
    csv = drawing.data.write_csv().encode()
    fits = [*(fit.record() for fit in drawing.fits), *drawing.findings]
    text = json.dumps(fits, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files |= {f"{figure}.csv": csv, f"{figure}.fits.json": text.encode()}
    paths = tuple(put(out, files))
    notes = [*drawing.notes, *notes]
    return Report(figure, paths, drawing.fits, drawing.floor, tuple(notes), drawing.findings)


def overview(results: Results, *, datasets: Sequence[str] = ()) -> Overview:
    """Fit every metric on every data set (or on those named): a line over log2 E for
    reconstructions, a quadratic for generations; of the paper's, those that its figures draw, and
    one for each variant where a figure compares variants."""
    from analysis.selection import select, usable

    kinds = results.measurements["kind"].unique()
    fits: list[LineFit] = []
    notes: list[str] = []
    floors = sampled = codecs = results.measurements.clear()
    if "generate" not in kinds or "reconstruct" in kinds or "floor" in kinds:
        seen = select(results, datasets=datasets)
        floors, notes = seen.frame, list(seen.notes)
        codecs, left_out = usable(results.measurements.filter(series="baseline"))
        notes += left_out
        fits += _lines(seen.distinct, LINEAR)
    if "generate" in kinds:
        made = select(results, kind="generate")
        notes += made.notes
        sampled = made.distinct
        fits += _lines(made.distinct, Line("quadratic"))
    both = pl.concat([floors, codecs])
    return Overview(
        fits, against_floor(floors), differences(floors), against_codecs(both), uncompared(both),
        guidance(sampled), tuple(notes),
    )  # fmt: skip


def _lines(measurements: pl.DataFrame, wanted: Line) -> list[LineFit]:
    """As `fit_lines`, but a line each for the variants that a figure of the paper compares."""
    fits: list[LineFit] = []
    for _, rows in measurements.group_by(KEYS, maintain_order=True):
        compared = rows["source"][0] == "published" and rows["variant"].n_unique() > 1
        fits += fit_lines(rows, replace(wanted, by=("variant",)) if compared else wanted)
    return fits


def parse_formats(text: str, known: Sequence[str] = FORMATS) -> list[str]:
    """`pdf,svg` as a list, each once.

    Raises:
        UserError: a format that is not one of those known.
    """
    formats = [part.strip().lower().lstrip(".") for part in text.split(",") if part.strip()]
    for name in formats:
        if name not in known:
            raise UserError(f"no format {name!r} (there are: {', '.join(known)})")
    if not formats:
        raise UserError(f"--format names no format (there are: {', '.join(known)})")
    return list(dict.fromkeys(formats))
