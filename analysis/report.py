"""From results to files: a figure in every format, the data that it shows and its fits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.figures import Request, find
from analysis.fits import LineFit, fit_lines
from analysis.floor import AgainstFloor, against_floor, differences
from analysis.frames import Results
from analysis.observations import observe
from vitok_core.errors import UserError


@dataclass(frozen=True, eq=False)
class Report:
    """What one figure left behind."""

    figure: str
    files: tuple[Path, ...]
    fits: list[LineFit]
    floor: list[AgainstFloor]
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "figure": self.figure,
            "files": [str(path) for path in self.files],
            "fits": [fit.record() for fit in self.fits],
            "floor": [one.record() for one in self.floor],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class Overview:
    """Every metric on every data set, without a figure."""

    fits: list[LineFit]
    floor: list[AgainstFloor]
    differences: pd.DataFrame
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For `--json`."""
        points = self.differences.astype(object).where(self.differences.notna(), None)
        return {
            "fits": [fit.record() for fit in self.fits],
            "floor": [one.record() for one in self.floor],
            "floor_points": points.to_dict(orient="records"),
            "notes": list(self.notes),
        }


def draw(
    results: Results,
    figure: str,
    out: Path,
    *,
    formats: Sequence[str] = ("pdf", "svg", "png"),
    datasets: Sequence[str] = (),
) -> Report:
    """Write `figure` below `out`: FIGURE.pdf …, FIGURE.csv and FIGURE.fits.json.

    Each file is replaced as a whole; on the same results all of them come out byte-identical.

    Raises:
        UserError: an unknown figure, format or data set, nothing to draw, a folder that cannot be
            written.
    """
    chosen = find(figure)
    wanted = parse_formats(",".join(formats))
    drawing = chosen.draw(results, Request(datasets=tuple(datasets)))
    from analysis.figures import style

    csv = drawing.data.to_csv(index=False, lineterminator="\n").encode()
    fits = [fit.record() for fit in drawing.fits]
    text = json.dumps(fits, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files = [out / f"{chosen.id}.{suffix}" for suffix in wanted]
    tables = {out / f"{chosen.id}.csv": csv, out / f"{chosen.id}.fits.json": text.encode()}
    try:
        for path in files:
            style.write(drawing.canvas, path)
        for path, data in tables.items():
            style.replace(path, data)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}") from error
    return Report(chosen.id, (*files, *tables), drawing.fits, drawing.floor, drawing.notes)


def overview(results: Results, *, datasets: Sequence[str] = ()) -> Overview:
    """Fit every metric on every data set (or on those named)."""
    seen = observe(results, datasets=datasets)
    return Overview(
        fit_lines(seen.distinct),
        against_floor(seen.frame),
        differences(seen.frame),
        seen.notes,
    )


def parse_formats(text: str) -> list[str]:
    """`pdf,svg` as a list, each once.

    Raises:
        UserError: a format that is not one of pdf, svg, png.
    """
    known = ("pdf", "svg", "png")
    formats = [part.strip().lower().lstrip(".") for part in text.split(",") if part.strip()]
    for name in formats:
        if name not in known:
            raise UserError(f"no format {name!r} (there are: {', '.join(known)})")
    if not formats:
        raise UserError(f"--format names no format (there are: {', '.join(known)})")
    return list(dict.fromkeys(formats))
