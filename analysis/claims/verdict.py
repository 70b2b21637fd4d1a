"""What the data say about a claim: regions, one-sided tests, Holm, and the word for it.

A claim says that a quantity lies in a region. Two questions are asked of it, each at 5% over the
family of claims: do the data exclude everything outside the region (supported), or everything
inside (contradicted)? Otherwise they are inconclusive, and the power says whether they could have
told. "Not significant" never counts as support: that two things are the same is a region around
zero, tested from both sides (Schuirmann 1987).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from scipy.special import nctdtr, stdtr, stdtrit

from analysis.stats.compare import equivalence_power, holm
from analysis.stats.inputs import student

if TYPE_CHECKING:
    import polars as pl

ALPHA = 0.05
Interval = tuple[float, float]


class Word(StrEnum):
    """What is said of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no data"


@dataclass(frozen=True)
class Region:
    """Where a quantity lies if the claim holds; an end may be infinite."""

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"< {self.high:.6g}"
        if math.isinf(self.high):
            return f"> {self.low:.6g}"
        if self.low == self.high:
            return f"= {self.high:.6g}"
        low, high = (_short(end, self.high - self.low) for end in (self.low, self.high))
        if self.low == -self.high:
            return f"±{high}"
        if math.isclose(self.low * self.high, 1):
            return f"{low} … {high} (ratio ±{self.high - 1:.0%})"
        return f"{low} … {high}"

    @property
    def middle(self) -> float:
        """Half way, or the only end."""
        ends = [end for end in (self.low, self.high) if math.isfinite(end)]
        return sum(ends) / len(ends)


@dataclass(frozen=True)
class Effect:
    """An estimate whose error follows Student's t."""

    estimate: float
    standard_error: float
    dof: float

    def minus(self, value: float) -> Effect:
        """How far it lies above `value`."""
        return replace(self, estimate=self.estimate - value)

    def interval(self) -> Interval:
        half = student(self.dof, 0.95) * self.standard_error
        return self.estimate - half, self.estimate + half

    @property
    def scale(self) -> Effect | None:
        """What it is measured in, where that was estimated too."""
        return None

    @property
    def p_above(self) -> float:
        """One-sided: how readily would a true value of zero or less give as much?"""
        if self.standard_error == 0:
            return float(self.estimate <= 0)
        return float(stdtr(self.dof, -self.estimate / self.standard_error))

    @property
    def p_below(self) -> float:
        return replace(self, estimate=-self.estimate).p_above


class Quantity(Protocol):
    """What a region is asked about: an effect, or a ratio of effects."""

    @property
    def estimate(self) -> float: ...

    @property
    def scale(self) -> Effect | None:
        """The denominator of a ratio: its sign must be sure before a ratio says anything."""
        ...

    def minus(self, value: float) -> Effect:
        """Positive where the quantity exceeds `value`; of a ratio, times its denominator."""
        ...

    def interval(self) -> Interval | None:
        """95%; None where it has no finite ends."""
        ...


@dataclass(frozen=True)
class Part:
    """One test of a claim; a claim that has several holds where all of them hold.

    A part without p values is a reading: numbers compared as they stand, `holds` is the outcome.
    """

    estimate: float
    interval: Interval | None = None
    p: float | None = None  # small: it lies in the region
    p_against: float | None = None  # small: it lies outside
    power: float | None = None  # to support, were the truth what the registry expects
    holds: bool | None = None
    label: str = ""


@dataclass(frozen=True)
class Finding:
    """What one source says about one claim, before the other claims of the family are heard."""

    parts: tuple[Part, ...]
    note: str = ""
    rests_on: pl.DataFrame | None = None  # measurements; None: all of the claim's first sample

    @property
    def worst(self) -> Part:
        """The part that carries the claim least."""
        return max(self.parts, key=lambda part: _doubt(part))

    @property
    def p(self) -> float | None:
        """Intersection-union: a claim of several parts is as sure as its least sure one."""
        values = [part.p for part in self.parts if part.p is not None]
        return max(values) if values else None

    @property
    def p_against(self) -> float | None:
        """One part outside its region is enough, so the smallest counts, times their number."""
        values = [part.p_against for part in self.parts if part.p_against is not None]
        return min(1.0, len(values) * min(values)) if values else None

    @property
    def power(self) -> float | None:
        values = [part.power for part in self.parts if part.power is not None]
        return min(values) if values else None

    @property
    def holds(self) -> bool | None:
        values = [part.holds for part in self.parts if part.holds is not None]
        return all(values) if values else None


@dataclass(frozen=True)
class Verdict:
    """One claim judged on one source."""

    id: str
    statement: str
    paper: str
    family: str
    kind: str  # effect: an inference; reading: numbers as they stand; quoted: text against figure
    source: str
    verdict: Word
    statistic: float | None
    unit: str  # of statistic, interval and threshold
    interval: Interval | None  # 95%
    threshold: Region
    margin: str  # why this threshold
    needs: str  # the experiments that it takes
    n: int  # measurements, as means over seeds; of printed numbers, those that are compared
    tokenizers: int  # that they come from: what is independent
    runs: tuple[str, ...]
    metric: str | None = None
    datasets: tuple[str, ...] = ()
    p: float | None = None
    p_holm: float | None = None
    p_against: float | None = None
    p_against_holm: float | None = None
    power: float | None = None
    note: str = ""

    def record(self) -> dict[str, Any]:
        """The entry of `report --claims --json`; what is undefined or infinite is null."""
        named: dict[str, Any] = dict(vars(self))
        threshold = [_number(self.threshold.low), _number(self.threshold.high)]
        interval = None if self.interval is None else [_number(end) for end in self.interval]
        statistic = None if self.statistic is None else _number(self.statistic)
        return {
            **named, "verdict": str(self.verdict), "statistic": statistic, "interval": interval,
            "threshold": threshold, "runs": list(self.runs), "datasets": list(self.datasets),
        }  # fmt: skip


def decide(quantity: Quantity, region: Region, *, truth: float, label: str = "") -> Part:
    """The part that asks whether `quantity` lies in `region`.

    Args:
        truth: where the claim expects it; the power is that of support, were it there.
    """
    below, above = quantity.minus(region.low), quantity.minus(region.high)
    inside = [(below.p_above, below.p_below)] if math.isfinite(region.low) else []
    inside += [(above.p_below, above.p_above)] if math.isfinite(region.high) else []
    within = max(p for p, _ in inside)
    against = min(1.0, len(inside) * min(out for _, out in inside))
    if quantity.scale is not None:
        # `minus` is multiplied by the denominator: were that negative, it would say the opposite.
        within, against = (max(p, quantity.scale.p_above) for p in (within, against))
    return Part(
        estimate=quantity.estimate,
        interval=quantity.interval(),
        p=within,
        p_against=against,
        power=_power(quantity, region, truth),
        label=label,
    )


def reading(value: float, region: Region, label: str = "") -> Part:
    """Numbers as they stand: the value lies in the region or not."""
    return Part(estimate=value, holds=value in region, label=label)


def settle(findings: Mapping[str, Finding]) -> dict[str, tuple[Word, float | None, float | None]]:
    """Verdict and Holm-adjusted p values, for and against, of one family on one source."""
    tested = [name for name, finding in findings.items() if finding.p is not None]
    ps = [findings[name].p for name in tested]
    against = [findings[name].p_against for name in tested]
    adjusted = dict(zip(tested, zip(_holm(ps), _holm(against), strict=True), strict=True))
    return {name: _word(finding, *adjusted.get(name, (None, None)))
            for name, finding in findings.items()}  # fmt: skip


def one_sided_power(
    distance: float, standard_error: float, dof: float, *, alpha: float = ALPHA
) -> float:
    """Probability that a one-sided t test rejects when the truth lies `distance` beyond."""
    if standard_error == 0:
        return float(distance > 0)
    critical = float(stdtrit(dof, 1 - alpha))
    return float(1 - nctdtr(dof, distance / standard_error, critical))


def _power(quantity: Quantity, region: Region, truth: float) -> float | None:
    size = 1.0 if quantity.scale is None else abs(quantity.scale.estimate)
    if size == 0:
        return None
    there = quantity.minus(truth)
    error = there.standard_error / size
    if math.isfinite(region.low) and math.isfinite(region.high):
        half, away = (region.high - region.low) / 2, truth - region.middle
        return equivalence_power(error, there.dof, half, effect=away)
    distance = truth - region.low if math.isfinite(region.low) else region.high - truth
    return one_sided_power(distance, error, there.dof)


def _holm(values: Sequence[float | None]) -> list[float]:
    return [float(p) for p in holm([1.0 if p is None else p for p in values])] if values else []


def _word(
    finding: Finding, p: float | None, against: float | None
) -> tuple[Word, float | None, float | None]:
    if finding.holds is False or (against is not None and against < ALPHA):
        return Word.CONTRADICTED, p, against
    if p is None and finding.holds is None:
        return Word.INCONCLUSIVE, p, against
    sure = p is None or p < ALPHA
    return Word.SUPPORTED if sure else Word.INCONCLUSIVE, p, against


def _doubt(part: Part) -> tuple[float, float]:
    """Parts compare by p; among p values that are all but zero or one, by the other side's."""
    if part.p is None:
        return (2.0 if part.holds is False else -1.0), 0.0
    return part.p, -(part.p_against or 0.0)


def _short(end: float, width: float) -> str:
    """Three significant digits, or as many more as the width of its region asks for."""
    texts = (f"{end:.{digits}g}" for digits in range(3, 16))
    return next(text for text in texts if abs(float(text) - end) <= width / 100)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
