"""More seeds for a sweep that was launched: its document with them, and which they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.planning.plan import plan_of
from sweep.spec import read as spec
from sweep.spec.document import Document, recorded
from vitok_core.errors import UserError


@dataclass(frozen=True)
class Extended:
    """A sweep's document with `seeds`, all that it has now, of which `new` are the added ones."""

    document: Document
    seeds: tuple[int, ...]
    new: tuple[int, ...]

    @property
    def only(self) -> str | None:
        """The filter that keeps the points of the new seeds; None: there are none, keep all."""
        return f"seed={'|'.join(map(str, self.new))}" if self.new else None


def extended(name: str, file: str, resolved: Mapping[str, Any], more: int) -> Extended:
    """A registered sweep with `more` seeds, the next after the largest that any point has.

    Points of `include` with seeds of their own keep those.

    Args:
        resolved: the document of its registration.

    Raises:
        UserError: this release cannot read the document, no point takes its seed from `seeds`,
            more seeds than any sweep has points, or it is a search, whose points are trials.
    """
    before = recorded(name, file, resolved)
    sweep = spec.read(before)
    if sweep.search is not None:
        raise UserError(f"{name}: is a search; change its budget in {file}, and launch that")
    if more > spec.MOST_POINTS:
        raise UserError(f"--seeds {more}: at most {spec.MOST_POINTS:,} points make a sweep")
    if not more:
        return Extended(before, sweep.seeds, ())
    grid = sweep.axes or sweep.zipped or not sweep.include
    if not grid and all(entry.seeds for entry in sweep.include):
        raise UserError(
            f"{name}: every point has seeds of its own in `include`; add them there, in {file}"
        )
    first = max(point.seed for point in plan_of(sweep).points) + 1
    new = tuple(range(first, first + more))
    seeds = (*sweep.seeds, *new)
    return Extended(recorded(name, file, {**resolved, "seeds": list(seeds)}), seeds, new)
