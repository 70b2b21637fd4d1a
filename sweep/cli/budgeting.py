"""`plan --budget`: which points of a sweep to run first, for the narrowest interval of a fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli.options import launch_line

if TYPE_CHECKING:
    from analysis.design import Costs, Design
    from sweep.model import Plan, Point

_BUDGET = re.compile(r"\s*(?P<amount>[^\s]+?)\s*(?P<unit>h|points?)\s*")
DONE = "done"  # a point's state, and a job's
_LEAST = 1e-6  # of a point: what its hours weigh where points are counted, so that ties go cheaply


class Fit(StrEnum):
    """What is to be known as sharply as can be."""

    SLOPE = "slope"
    VERTEX = "vertex"


class Criterion(StrEnum):
    """Which design is the best one."""

    C = "c"
    D = "D"


Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="AMOUNT",
        help="Say which points to run first for the narrowest interval of --fit: within "
        "device-hours (2000h) or a number of points (6points).",
        show_default=False,
    ),
]
Fitted = Annotated[
    Fit | None,
    typer.Option(
        "--fit",
        help="Of --budget: the slope of a metric over log2 E (default), or each patch's vertex "
        "of a parabola.",
        show_default=False,
    ),
]
Optimal = Annotated[
    Criterion | None,
    typer.Option(
        "--criterion",
        help="Of --budget: c, the narrowest expected interval (default), or D, all coefficients "
        "at once.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Typed:
    """What the command was given, for the one that launches its points."""

    file: str
    sets: Sequence[str]
    only: str | None
    results: Path
    db: str | None
    site: Path | None

    def filter(self, points: Sequence[str]) -> str:
        """`--only` for these points: their ids, and what it said already."""
        return ",".join(filter(None, [self.only, f"id={'|'.join(points)}"]))

    def launch(self, points: Sequence[str]) -> str:
        """The command line that launches them."""
        only = self.filter(points)
        return launch_line(self.file, only, self.sets, self.results, self.db, self.site)


def budgeted(
    made: Plan,
    states: Mapping[str, str],
    budget: str,
    fit: Fit,
    criterion: Criterion,
    typed: Typed,
) -> dict[str, Any]:
    """The document of `plan --budget --json`.

    Seeds repeat a configuration and fits are on configuration means, so one of each is planned:
    the one with the least to run.

    Raises:
        UserError: a budget that is no amount, or too small for the fit; points that carry none, or
            that a search chooses.
    """
    from analysis.exchange import TooLittle, choose, running_order
    from vitok_core.errors import UserError

    amount, unit = _amount(budget)
    if made.search is not None:
        raise UserError(
            f"--budget: {made.file} searches, and chooses its points itself; search.trials is its "
            "budget"
        )
    left = _left(made, states)
    candidates, notes = _fitted(_configurations(made.points, left), fit)
    hours = [left[point.id] for point in candidates]
    design, costs = _design(candidates, fit, criterion), _costs(hours, unit)
    free = [not each for each in hours]  # no job is left
    try:
        chosen = choose(design, costs, amount, free)
    except TooLittle as error:
        least = (
            f"{_up(error.price):,g} device-hours" if unit == "h" else f"{error.price:.0f} points"
        )
        patches = len(design.labels)
        every = f"each of {patches} vertices" if patches > 1 else f"the {fit}"
        hint = " (--only leaves patches out)" if patches > 1 else ""
        raise UserError(
            f"--budget {budget}: the cheapest points that give {every} an interval take {least}"
            f"{hint}"
        ) from None
    order = running_order(design, costs, chosen, free)
    there = [n for n, done in enumerate(free) if done]
    points = list(_rows(design, _costs(hours, "h"), candidates, there, order))
    ids = [candidates[n].id for n in order]
    return {
        "sweep": made.sweep,
        "file": made.file,
        "fit": str(fit),
        "criterion": str(criterion),
        "budget": {"amount": amount, "unit": "device_hours" if unit == "h" else "points"},
        "device": made.device,
        "configurations": len(candidates),
        "grid_device_hours": _of_all(hours),
        "device_hours": points[-1]["cumulated_device_hours"],
        "points": points,
        "notes": [*notes, *made.notes],
        "only": typed.filter(ids) if ids else None,
        "command": typed.launch(ids) if ids else None,
    }


def _amount(text: str) -> tuple[float, str]:
    from sweep.spec.scalars import parse_number
    from vitok_core.errors import UserError

    match = _BUDGET.fullmatch(text)
    amount = parse_number(match["amount"]) if match else None
    if match is None or amount is None or not 0 < amount < math.inf:
        raise UserError(
            f"--budget {text}: expected device-hours or points, such as 2000h or 6points"
        )
    return float(amount), match["unit"][0]


def _up(hours: float) -> float:
    """The least number of four digits that is enough: as a budget it must not be refused again."""
    step = 10.0 ** (math.floor(math.log10(hours)) - 3)
    return math.ceil(hours / step) * step


def _left(made: Plan, states: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Of every point the jobs that are not done, and their device-hours."""
    hours = {job.id: job.device_hours for job in made.jobs if states.get(job.id) != DONE}
    return {
        point.id: {job: hours[job] for job in point.jobs if job in hours} for point in made.points
    }


def _configurations(
    points: Sequence[Point], left: Mapping[str, Mapping[str, float]]
) -> list[Point]:
    seeds: dict[str, list[Point]] = {}
    for point in points:
        seeds.setdefault(point.config_id, []).append(point)
    return [min(each, key=lambda point: sum(left[point.id].values())) for each in seeds.values()]


def _fitted(points: Sequence[Point], fit: Fit) -> tuple[list[Point], list[str]]:
    """The points whose group can have an interval at all, and what is left out."""
    from analysis.stats.inputs import NoFit
    from vitok_core.errors import UserError

    kept, notes = [], []
    for label in dict.fromkeys(_group(point, fit) for point in points):
        mine = [point for point in points if _group(point, fit) == label]
        try:
            _design(mine, fit, Criterion.C)
        except NoFit as reason:
            notes.append(": ".join(filter(None, [label, str(reason)])))
        else:
            kept += mine
    if not kept:
        raise UserError("; ".join(notes))
    return kept, [f"left out: {note}" for note in notes]


def _group(point: Point, fit: Fit) -> str:
    if fit is Fit.SLOPE:
        return ""
    return f"p={point.p}" if point.frames == 1 else f"q={point.q} p={point.p}"


def _design(points: Sequence[Point], fit: Fit, criterion: Criterion) -> Design:
    import numpy as np

    from analysis.design import Design

    sizes = np.log2([float(point.E) for point in points])
    return Design(sizes, [_group(point, fit) for point in points], fit.value, criterion.value)


def _costs(hours: Sequence[Mapping[str, float]], unit: str) -> Costs:
    from analysis.design import Costs

    if unit == "h":
        return Costs(hours)
    all_hours = sum(sum(each.values()) for each in hours) or 1.0
    prices = [1 - _LEAST * (1 - sum(each.values()) / all_hours) for each in hours]
    return Costs([{str(n): prices[n]} if each else {} for n, each in enumerate(hours)])


def _of_all(hours: Sequence[Mapping[str, float]]) -> float:
    return sum({job: hour for each in hours for job, hour in each.items()}.values())


def _rows(
    design: Design,
    costs: Costs,
    points: Sequence[Point],
    there: Sequence[int],
    order: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """The finished points, then the others as they are run; each with what is known after it."""
    import numpy as np

    held = np.zeros((1, design.n), bool)
    spent = 0.0
    for place, row in enumerate([*there, *order], 1 - len(there)):
        held[0, row] = True
        before, spent = spent, float(costs.of(held)[0])
        point = points[row]
        widths, errors = design.widths(held)[0], design.errors(held)[0]
        yield {
            "order": place if place > 0 else None,
            **{
                name: getattr(point, name) for name in ("id", "slug", "variant", "p", "q", "c", "E")
            },
            "seed": point.seed,
            "state": DONE if place <= 0 else "to run",
            "device_hours": spent - before,
            "cumulated_device_hours": spent,
            "relative_width": _number(np.exp(np.log(widths).mean())),
            "relative_error": _number(np.exp(np.log(errors).mean())),
            "groups": [
                {"group": label, "relative_width": _number(w), "relative_error": _number(e)}
                for label, w, e in zip(design.labels, widths, errors, strict=True)
                if label
            ],
        }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
