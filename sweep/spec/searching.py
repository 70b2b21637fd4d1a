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

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.search.model import (
    COSTS,
    MOST_TRIALS,
    RULES,
    SAMPLERS,
    Constraint,
    Dimension,
    Interval,
    Listed,
    Param,
    Pruner,
    Search,
)
from sweep.spec.fields import SIZE, TOWERS, field
from sweep.spec.lists import items_of
from sweep.spec.mappings import entries_of
from sweep.spec.objectives import ENDS, EXPECTED, end_of, read_objectives
from sweep.spec.problems import Mark, Problems, nearest, shown
from sweep.spec.reader import Reader
from sweep.spec.scalars import parse_number
from sweep.spec.singles import choice, flag, whole_number
from sweep.spec.stages import Stage
from sweep.spec.sweeping import LARGEST_SEED, known_path, read_axis
from sweep.spec.values import Given, options_of
from sweep.spec.yamlfile import Node

KEYS = (
    "space", "objectives", "constraints", "sampler", "trials", "parallel", "pruner", "seed"
)  # fmt: skip
PRUNER_KEYS = (*ENDS, "rule", "after")
INTERVAL_KEYS = ("low", "high", "log")
_NEEDED = {
    "space": "fields with what to try: lists, ranges or {low, high}",
    "objectives": EXPECTED,
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
    sampler = choice(entries.get("sampler"), "search.sampler", SAMPLERS, "tpe", problems)
    objectives = read_objectives(entries["objectives"], stages, values, problems)
    constraints = _constraints(entries.get("constraints"), problems)
    trials = whole_number(entries.get("trials"), "search.trials", 1, MOST_TRIALS, problems)
    parallel = whole_number(entries.get("parallel"), "search.parallel", 1, _LARGEST, problems)
    seed = whole_number(entries.get("seed"), "search.seed", 0, LARGEST_SEED, problems)
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
        return "{" + ", ".join(f"{key}: {shown_whole(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown_whole, value))}]"
    return f"'{value}'" if isinstance(value, str) else shown(value)


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
    log = flag(entries.get("log"), f"{place}.log", problems)
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
    end = end_of(node, entries, place, problems)
    if entries is None or end is None:
        return None
    rule = choice(entries.get("rule"), f"{place}.rule", RULES, RULES[0], problems)
    after = whole_number(entries.get("after"), f"{place}.after", 0, 2**53 - 1, problems)
    return Pruner(str(entries[end].value), end == "maximize", rule, after or 0)


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
