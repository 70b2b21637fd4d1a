"""The objectives of a `search` section: what is made small or large, and where it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweep.search import metrics
from sweep.search.model import COSTS, Objective
from sweep.spec.mappings import entries_of
from sweep.spec.problems import Mark, Problems, nearest, shown
from sweep.spec.singles import whole_number
from sweep.spec.stages import Stage, trains
from sweep.spec.values import Given
from sweep.spec.yamlfile import Node

ENDS = ("minimize", "maximize")
KEYS = (*ENDS, "data", "cfg", "stage")
EXPECTED = "a list such as [{maximize: rPSNR, data: photos-heldout}]"


def read_objectives(
    node: Node, stages: Sequence[Stage], values: Mapping[str, Given], problems: Problems
) -> tuple[Objective, ...]:
    """The list; empty where an entry cannot be read, which is told of."""
    place = "search.objectives"
    if not node.is_list or not node.value:
        problems.add(node.mark, place, f"expected {EXPECTED}, got {shown(node.plain())}")
        return ()
    found: list[Objective] = []
    for entry in node.value:
        objective = _objective(entry, place, stages, values, problems)
        if objective is not None and str(objective) in map(str, found):
            problems.add(entry.mark, place, f"'{objective}' stands twice")
        elif objective is not None:
            found.append(objective)
    return tuple(found) if len(found) == len(node.value) else ()


def _objective(
    entry: Node,
    place: str,
    stages: Sequence[Stage],
    values: Mapping[str, Given],
    problems: Problems,
) -> Objective | None:
    example = "{minimize: METRIC, data: NAME} or {maximize: METRIC, data: NAME}"
    entries = entries_of(entry, KEYS, {}, example, place, problems)
    end = end_of(entry, entries, place, problems)
    if entries is None or end is None or not set(entries) <= set(KEYS):
        return None
    metric, mark = str(entries[end].value), entries[end].mark
    known = metrics.known_metrics()
    if metrics.base(metric) not in known:
        problems.add(mark, f"{place}.{end}", f"unknown metric '{metric}'{nearest(metric, known)}")
        return None
    if metric in COSTS:
        for key in ("data", "cfg", "stage"):
            if key in entries:
                message = f"{metric} is a cost, which has none; leave it out"
                problems.add(entries[key].mark, f"{place}.{key}", message)
        return Objective(metric, end == "maximize", None, None, None, mark)
    learned = values.get("data.name")
    sets = metrics.data_sets(metric, stages, None if learned is None else learned.value)
    if not sets:
        if stages:
            problems.add(mark, place, f"no stage scores {metric}; add one that does")
        return None
    data = _one_of(entries.get("data"), f"{place}.data", metric, sets, mark, problems)
    scales = [f"{scale:g}" for scale in metrics.scales(metric, stages)]
    cfg = _one_of(entries.get("cfg"), f"{place}.cfg", metric, scales, mark, problems)
    stage = whole_number(entries.get("stage"), f"{place}.stage", 1, 2, problems)
    if stage == 2 and not trains(tuple(stages), "stage2"):
        problems.add(entries["stage"].mark, f"{place}.stage", "these points train no stage 2")
    scale = None if cfg is None else float(cfg)
    return Objective(metric, end == "maximize", data, scale, stage, mark)


def end_of(
    entry: Node, entries: Mapping[str, Node] | None, place: str, problems: Problems
) -> str | None:
    """Which of `minimize` and `maximize` is given, with a metric's name."""
    given = [key for key in ENDS if entries is not None and key in entries]
    if entries is not None and len(given) != 1:
        problems.add(entry.mark, place, "expected one of minimize and maximize")
    if entries is None or len(given) != 1:
        return None
    if not isinstance(entries[given[0]].value, str):
        said = shown(entries[given[0]].plain())
        message = f"expected a metric's name, got {said}"
        if entries[given[0]].is_list or entries[given[0]].is_map:
            message += '; in braces a name with brackets needs quotes: "rFD[…]"'
        problems.add(entries[given[0]].mark, f"{place}.{given[0]}", message)
        return None
    return given[0]


def _one_of(
    node: Node | None, place: str, metric: str, known: Sequence[str], mark: Mark, problems: Problems
) -> str | None:
    """What is given of what is scored; the only one, where nothing is given."""
    if node is None:
        if len(known) > 1:
            message = f"missing: {metric} is scored at {', '.join(known)}; say which"
            problems.add(mark, place, message)
        return known[0] if len(known) == 1 else None
    value = node.plain()
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"{value:g}" if number else value
    if text not in known:
        where = nearest(str(text), known) if known else "; it is scored at none"
        problems.add(node.mark, place, f"{metric} is not scored at {shown(value)}{where}")
        return None
    return str(text)
