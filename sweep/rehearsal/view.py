"""A rehearsal's outcome as a table and a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rich.table import Table
from rich.text import Text

from sweep.rehearsal.outcome import Outcome, Passed, counts

_STYLES = {Passed.OK: "green", Passed.MISSING: "yellow", Passed.FAILED: "bold red"}
_REASON = 200  # characters; the journal has it whole


def table(found: Sequence[Outcome]) -> Table:
    """One row for each rehearsed job, under the id and the slug of the first that it stands for."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "kind", "job", "jobs"):
        made.add_column(heading, no_wrap=True)
    made.add_column("outcome", no_wrap=True)
    for heading in ("seconds", "peak MB", "samples/s"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("reason", overflow="fold")
    for each in found:
        job = each.rehearsed
        made.add_row(
            job.original.id,
            job.job.kind,
            job.job.slug.removeprefix(f"{job.job.kind}-"),
            str(len(job.stands_for)),
            Text(str(each.passed), style=_STYLES[each.passed]),
            _number(each.seconds, ".1f"),
            _number(None if each.peak_bytes is None else each.peak_bytes / 1e6, ".0f"),
            _number(each.images_per_second, ".3g"),
            Text(each.reason.splitlines()[0][:_REASON] if each.reason else ""),
        )
    return made


def lines(found: Sequence[Outcome], small: bool) -> list[str]:
    """What to know beside the table: counts, what stood in, what is missing."""
    jobs = sum(len(each.rehearsed.stands_for) for each in found)
    said = ", ".join(f"{n} {passed}" for passed, n in counts(found).items() if n)
    shapes = "small shapes on the CPU" if small else "true shapes"
    return [
        f"rehearsed {len(found)} jobs for the sweep's {jobs} ({shapes}): {said}",
        *_told("note", found, lambda each: each.rehearsed.drawn),
        *_told("missing", found, lambda each: each.rehearsed.lacks),
    ]


def _told(word: str, found: Iterable[Outcome], of: Callable[[Outcome], Sequence[str]]) -> list[str]:
    """Each line once, with the number of rehearsed jobs that it concerns."""
    tally = Counter(line for each in found for line in of(each))
    return [f"{word}: {line} ({n} job{'s' if n > 1 else ''})" for line, n in tally.items()]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
