"""Reads the `search` section of a sweep file.

search:
  space:
    tokenizer.channels: 4..64 x2
    train.base_lr: {low: 1e-4, high: 1e-2, log: true}
  objectives:
    - {maximize: rPSNR, data: photos-heldout}
    - minimize: gflops
  constraints: [gflops <= 50, E <= 4096]
  sampler: tpe
  trials: 20
  parallel: 4
  pruner: {minimize: loss, rule: median, after: 100}
  seed: 0
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.search import metrics
from sweep.search.model import (
    COSTS,
    MOST_TRIALS,
    RULES,
    SAMPLERS,
    Constraint,
    Dimension,
    Interval,
    Listed,
    Objective,
    Param,
    Pruner,
    Search,
)
from sweep.spec.fields import SIZE, TOWERS, field
from sweep.spec.lists import items_of
from sweep.spec.mappings import entries_of
from sweep.spec.problems import Mark, Problems, nearest, shown
from sweep.spec.reader import Reader
from sweep.spec.scalars import parse_number
from sweep.spec.stages import Stage, trains
from sweep.spec.sweeping import LARGEST_SEED, known_path, read_axis
from sweep.spec.values import Given, options_of
from sweep.spec.yamlfile import Node

KEYS = (
    "space", "objectives", "constraints", "sampler", "trials", "parallel", "pruner", "seed"
)  # fmt: skip
ENDS = ("minimize", "maximize")
OBJECTIVE_KEYS = (*ENDS, "data", "cfg", "stage")
PRUNER_KEYS = (*ENDS, "rule", "after")
INTERVAL_KEYS = ("low", "high", "log")
_NEEDED = {
    "space": "fields with what to try: lists, ranges or {low, high}",
    "objectives": "a list such as [{maximize: rPSNR, data: photos-heldout}]",
}
_EXAMPLE = "a mapping of space, objectives and trials"
_CONSTRAINT = re.compile(r"\s*([A-Za-z_]+)\s*(<=|>=)\s*(\S+)\s*")
_LARGEST = 10_000  # trials at once


def read_search(
    node: Node | None,
    stages: Sequence[Stage],
    values: Mapping[str, Given],
    reader: Reader,
) -> Search | None:
    """The section; None where there is none, or it cannot be read, which is told of.

    Args:
        stages: of the file.
        values: that hold for every point.
    """
    if node is None:
        return None
    problems = reader.problems
    entries = entries_of(node, KEYS, _NEEDED, _EXAMPLE, "search", problems)
    if entries is None:
        return None
    space = _space(entries["space"], reader)
    sampler = _choice(entries.get("sampler"), "search.sampler", SAMPLERS, "tpe", problems)
    objectives = _objectives(entries["objectives"], stages, values, problems)
    constraints = _constraints(entries.get("constraints"), problems)
    trials = _number(entries.get("trials"), "search.trials", 1, MOST_TRIALS, problems)
    parallel = _number(entries.get("parallel"), "search.parallel", 1, _LARGEST, problems)
    seed = _number(entries.get("seed"), "search.seed", 0, LARGEST_SEED, problems)
    pruner = _pruner(entries.get("pruner"), problems)
    if "trials" not in entries and sampler != "grid":
        message = "missing: expected the number of trials; only sampler: grid tries all"
        problems.add(node.mark, "search.trials", message)
    if sampler == "grid":
        for each in space:
            if isinstance(each, Interval):
                message = "sampler grid tries lists; write some of the interval's values"
                problems.add(each.mark, f"search.space.{each.path}", message)
    if not space or not objectives:
        return None
    return Search(
        space=space,
        sampler=sampler,
        objectives=objectives,
        constraints=constraints,
        trials=trials,
        parallel=parallel or 1,
        pruner=pruner,
        seed=seed or 0,
        mark=node.mark,
    )


def _space(node: Node, reader: Reader) -> tuple[Dimension, ...]:
    place, problems = "search.space", reader.problems
    if not node.is_map or not node.value:
        problems.add(node.mark, place, f"expected {_NEEDED['space']}, got {shown(node.plain())}")
        return ()
    found: list[Dimension] = []
    for path, given in node.value.items():
        if not known_path(path, place, given.mark, problems):
            continue
        read = _interval if _is_interval(path, given) else _listed
        dimension = read(path, given, f"{place}.{path}", reader)
        found += [dimension] if dimension is not None else []
    reader.refuse_both({each.path: each.mark for each in found})
    return tuple(found)


def _is_interval(path: str, node: Node) -> bool:
    return node.is_map and path not in (SIZE, *TOWERS)


def _listed(path: str, node: Node, place: str, reader: Reader) -> Listed | None:
    if path.startswith("resources."):
        reader.problems.add(node.mark, place, "resources change no result; search other fields")
        return None
    axis = read_axis(path, node, place, reader)
    if axis is None:
        return None
    items = items_of(node, place, reader.problems) or []
    labels = tuple(_label(item.plain()) for item in items)
    return Listed(path, labels, axis.choices, node.mark)


def _label(value: Any) -> Param:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number:
        return float(value) if isinstance(value, float) else int(value)
    return str(value) if isinstance(value, str) else shown_whole(value)


def shown_whole(value: Any) -> str:
    """A value as text that tells it from any other: a tower of the file's own, a list."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(each)}" for key, each in value.items()) + "}"
    return shown(value)


def _interval(path: str, node: Node, place: str, reader: Reader) -> Interval | None:
    problems = reader.problems
    needed = {"low": "the smallest value", "high": "the largest value"}
    entries = entries_of(node, INTERVAL_KEYS, needed, "{low, high}", place, problems)
    if entries is None:
        return None
    kinds = {str(option.get("type")) for option in options_of(field(path).schema)}
    if not kinds & {"integer", "number"}:
        problems.add(node.mark, place, "is no number; expected a list of values")
        return None
    ends = [reader.value(path, entries[key], f"{place}.{key}") for key in ("low", "high")]
    log = _flag(entries.get("log"), f"{place}.log", problems)
    if None in ends:
        return None
    low, high = (each[path].value for each in ends if each is not None)
    if low is None or high is None:
        problems.add(node.mark, place, "expected numbers for low and high")
        return None
    if low >= high:
        problems.add(node.mark, place, f"low is {low}, high {high}: expected low below high")
        return None
    if log and low <= 0:
        problems.add(entries["low"].mark, f"{place}.low", "log: true needs low above 0")
        return None
    return Interval(path, float(low), float(high), log, "number" not in kinds, node.mark)


def _objectives(
    node: Node, stages: Sequence[Stage], values: Mapping[str, Given], problems: Problems
) -> tuple[Objective, ...]:
    place = "search.objectives"
    if not node.is_list or not node.value:
        expected = _NEEDED["objectives"]
        problems.add(node.mark, place, f"expected {expected}, got {shown(node.plain())}")
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
    entries = entries_of(entry, OBJECTIVE_KEYS, {}, example, place, problems)
    end = _end(entry, entries, place, problems)
    if entries is None or end is None or not set(entries) <= set(OBJECTIVE_KEYS):
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
    stage = _number(entries.get("stage"), f"{place}.stage", 1, 2, problems)
    if stage == 2 and not trains(tuple(stages), "stage2"):
        problems.add(entries["stage"].mark, f"{place}.stage", "these points train no stage 2")
    scale = None if cfg is None else float(cfg)
    return Objective(metric, end == "maximize", data, scale, stage, mark)


def _end(
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


def _constraints(node: Node | None, problems: Problems) -> tuple[Constraint, ...]:
    if node is None:
        return ()
    place = "search.constraints"
    found = []
    for entry in node.value if node.is_list else [node]:
        match = _CONSTRAINT.fullmatch(entry.value) if isinstance(entry.value, str) else None
        bound = parse_number(match[3]) if match else None
        if match is None or bound is None:
            message = f"expected COST <= NUMBER or COST >= NUMBER, got {shown(entry.plain())}"
            problems.add(entry.mark, place, message)
        elif match[1] not in COSTS:
            message = f"unknown cost '{match[1]}'{nearest(match[1], COSTS)}"
            problems.add(entry.mark, place, message)
        else:
            found.append(Constraint(match[1], match[2] == "<=", float(bound)))
    return tuple(found)


def _pruner(node: Node | None, problems: Problems) -> Pruner | None:
    if node is None or node.value is None:
        return None
    place = "search.pruner"
    example = "{minimize: loss, rule: median, after: 100}"
    entries = entries_of(node, PRUNER_KEYS, {}, example, place, problems)
    end = _end(node, entries, place, problems)
    if entries is None or end is None:
        return None
    rule = _choice(entries.get("rule"), f"{place}.rule", RULES, RULES[0], problems)
    after = _number(entries.get("after"), f"{place}.after", 0, 2**53 - 1, problems)
    return Pruner(str(entries[end].value), end == "maximize", rule, after or 0)


def _number(node: Node | None, place: str, least: int, most: int, problems: Problems) -> int | None:
    if node is None:
        return None
    value = node.value
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    if not whole or not math.isfinite(value) or value != int(value) or not least <= value <= most:
        message = f"expected a whole number from {least} to {most:,}, got {shown(node.plain())}"
        problems.add(node.mark, place, message)
        return None
    return int(value)


def _choice(
    node: Node | None, place: str, known: Sequence[str], default: str, problems: Problems
) -> str:
    if node is None:
        return default
    if node.value not in known:
        said = nearest(str(node.value), known)
        problems.add(
            node.mark, place, f"unknown {place.rpartition('.')[2]} {shown(node.plain())}{said}"
        )
        return default
    return str(node.value)


def _flag(node: Node | None, place: str, problems: Problems) -> bool:
    if node is None:
        return False
    words = {"on": True, "yes": True, "off": False, "no": False}
    value = words.get(node.value, node.value) if isinstance(node.value, str) else node.value
    if not isinstance(value, bool):
        problems.add(node.mark, place, f"expected true or false, got {shown(node.plain())}")
        return False
    return value


def refuse_beside(
    search: Search | None, root: Mapping[str, Node], swept: Mapping[str, Mark], problems: Problems
) -> None:
    """What a search cannot have beside it: points by value, and a field that the grid sweeps."""
    if search is None:
        return
    if "include" in root:
        message = "adds points to a grid; a search chooses its own: leave one of them out"
        problems.add(root["include"].mark, "include", message)
    for each in search.space:
        if each.path in swept:
            message = f"is swept by the grid as well ({swept[each.path]}); keep one"
            problems.add(each.mark, f"search.space.{each.path}", message)
