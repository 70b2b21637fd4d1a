"""How soon a search finds what the full grid finds, on the paper's points: writes docs/search.md.

The objective is Figure 5's gFID at CFG 1.5 (S-B, DiT-L): log2 of it, interpolated by a cubic spline
over log2 c for each patch, on a grid of four channels to an octave. Nothing is trained.
`python benchmarks/search.py` writes the tables again, in some minutes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean, median

import numpy as np
import optuna
import polars as pl
from scipy.interpolate import CubicSpline

from analysis import published
from sweep.planning.estimate import macs_of
from sweep.search.model import Listed, Objective, Params, Search
from sweep.search.samplers import Within, distributions
from sweep.search.trials import Trial
from sweep.spec.problems import Mark
from vitok_core.config import TokenizerConfig
from vitok_core.cost import Shape
from vitok_core.variants import SIZES

PAGE = Path(__file__).parent.parent / "docs" / "search.md"
SAMPLERS = ("grid", "random", "qmc", "tpe", "gp")
FRONT_SAMPLERS = ("random", "qmc", "nsga2", "tpe", "gp")
SEEDS, FRONT_SEEDS = 50, 20
NOISE = 0.05  # sd of log2 gFID from seed to seed: 3.5%, a guess; the paper has one seed
CHANNELS = (4, 5, 6, 7, 8, 10, 11, 13, 16, 19, 23, 27, 32, 38, 45, 54, 64)
PATCHES = (8, 16, 32)
_HERE = Mark("docs/search.md")

Point = tuple[int, int]  # patch, channels
Score = Callable[[Point], tuple[float, ...]]


@cache
def grid() -> Mapping[Point, tuple[float, float]]:
    """log2 gFID and log2 GFLOPs of every point of the fine grid, patch by patch."""
    rows = published.points().filter(
        (pl.col("figure") == "5") & (pl.col("panel") == "gFID") & (pl.col("cfg_scale") == 1.5)
    )
    found: dict[Point, tuple[float, float]] = {}
    for patch in PATCHES:
        own = rows.filter(pl.col("p") == patch).sort("c")
        curve = CubicSpline(np.log2(own["c"].to_numpy()), np.log2(own["value"].to_numpy()))
        for channels in CHANNELS:
            if channels <= own["c"].max():  # p8 c64 is not published
                found[patch, channels] = (float(curve(np.log2(channels))), _gflops(patch, channels))
    return found


def _gflops(patch: int, channels: int) -> float:
    config = TokenizerConfig(encoder=SIZES["S"], decoder=SIZES["B"], patch=patch, channels=channels)
    return float(np.log2(macs_of(config, Shape(256, patch, channels)).both / 1e9))


def trials(
    sampler: str, seed: int, points: Sequence[Point], total: int, score: Score, objectives: int
) -> Iterator[Point]:
    """The points that a search tries, in order, as `launch` would choose them."""
    search = Search(
        space=tuple(_lists(points)),
        sampler=sampler,
        objectives=(Objective("E", False, None, None, None, _HERE),) * objectives,
        constraints=(),
        trials=total,
        parallel=1,
        pruner=None,
        seed=seed,
        mark=_HERE,
    )
    study = optuna.create_study(directions=["minimize"] * objectives)
    tried: set[Point] = set()

    def accept(params: Params) -> Trial | None:
        at = int(params.get("p", points[0][0])), int(params["c"])
        if at in tried or at not in points:
            return None
        return Trial("", dict(params), (), (f"{at}",), "", {})

    for number in range(total):
        study.sampler = sampler_now = Within(search, number, total, accept)
        asked = study.ask(fixed_distributions=distributions(search))
        assert sampler_now.taken is not None
        params = sampler_now.taken.params
        at = int(params.get("p", points[0][0])), int(params["c"])
        tried.add(at)
        yield at
        study.tell(asked, list(score(at)))


def _lists(points: Sequence[Point]) -> Iterator[Listed]:
    """The dimensions of some points; a single patch is none."""
    for name, place in (("p", 0), ("c", 1)):
        labels = tuple(sorted({point[place] for point in points}))
        if len(labels) > 1:
            yield Listed(name, labels, ({},) * len(labels), _HERE)


@dataclass(frozen=True)
class Found:
    """How a sampler did on the optimum of one patch.

    Args:
        within: share of seeds whose best trial is within one grid step of the optimum.
        first: median number of the first trial that is, among all seeds.
    """

    within: float
    first: float


def optimum(sampler: str, patch: int, noise: float) -> Found:
    """Search the channels of one patch with at most half of its grid's runs; `grid` runs all."""
    points = [point for point in grid() if point[0] == patch]
    order = {point: n for n, point in enumerate(points)}
    goal = order[min(points, key=lambda point: grid()[point][0])]
    total = len(points) if sampler == "grid" else len(points) // 2
    hits, firsts = 0, []
    for seed in range(SEEDS):
        dice = np.random.default_rng(seed)
        seen = {point: grid()[point][0] + noise * dice.standard_normal() for point in points}

        def score(at: Point, seen: Mapping[Point, float] = seen) -> tuple[float, ...]:
            return (seen[at],)

        made = list(trials(sampler, seed, points, total, score, 1))
        near = [abs(order[point] - goal) <= 1 for point in made]
        hits += near[made.index(min(made, key=seen.__getitem__))]
        firsts.append(near.index(True) + 1 if any(near) else len(points))
    return Found(hits / SEEDS, median(firsts))


def front(sampler: str) -> tuple[float, float]:
    """The mean share of the full grid's hypervolume after a quarter and half of its runs."""
    points = list(grid())
    whole = hypervolume(points)
    quarter, half = len(points) // 4, len(points) // 2
    shares = []
    for seed in range(FRONT_SEEDS):
        made = list(trials(sampler, seed, points, half, lambda at: grid()[at], 2))
        shares.append((hypervolume(made[:quarter]) / whole, hypervolume(made) / whole))
    return fmean(each[0] for each in shares), fmean(each[1] for each in shares)


def hypervolume(made: Sequence[Point]) -> float:
    """What some points dominate, in log2 gFID × log2 GFLOPs, up to the grid's worst of each."""
    worst = [max(values[n] for values in grid().values()) for n in (0, 1)]
    area, height = 0.0, worst[1]
    for quality, cost in sorted(grid()[point] for point in made):
        if cost < height:
            area += (worst[0] - quality) * (height - cost)
            height = cost
    return area


def optimum_table() -> list[str]:
    """Markdown: share of seeds within one grid step, and the trial that first is, by patch."""
    lines = ["| sampler | noise | p 8 | p 16 | p 32 |", "| --- | --- | --- | --- | --- |"]
    pairs = [(sampler, noise) for noise in (0.0, NOISE) for sampler in SAMPLERS]
    return lines + [optimum_row(*pair) for pair in pairs]


def optimum_row(sampler: str, noise: float) -> str:
    """One row of it."""
    cells = [optimum(sampler, patch, noise) for patch in PATCHES]
    said = [f"{cell.within:.0%}, {cell.first:g}" for cell in cells]
    return f"| {sampler} | {noise:g} | {' | '.join(said)} |"


def front_table() -> list[str]:
    """Markdown: the share of the grid's hypervolume."""
    lines = ["| sampler | a quarter of the runs | half of the runs |", "| --- | --- | --- |"]
    return lines + [front_row(sampler) for sampler in FRONT_SAMPLERS]


def front_row(sampler: str) -> str:
    """One row of it."""
    quarter, half = front(sampler)
    return f"| {sampler} | {quarter:.1%} | {half:.1%} |"


TABLES = {"optimum": optimum_table, "front": front_table}


def quiet() -> None:
    """Optuna says a line for each study and warns of what is experimental."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def main() -> None:
    quiet()
    text = PAGE.read_text()
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = before + begin + "\n".join(make()) + f"\n{end}" + after
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
