"""Reads what makes a file a sweep: `axes`, `zip`, `include`, `exclude`, `seeds`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.planning.grid import Axis, Entry, Exclusion, Values
from sweep.spec.fields import SIZE, TOWERS, field, fields, unknown_field
from sweep.spec.lists import items_of
from sweep.spec.problems import Mark, Problems, shown
from sweep.spec.reader import Reader
from sweep.spec.scalars import looks_like_range
from sweep.spec.stages import Stage, read_stages
from sweep.spec.values import Given
from sweep.spec.yamlfile import Node

LARGEST_SEED = 2**31 - 1


def read_axes(node: Node | None, place: str, reader: Reader) -> tuple[Axis, ...]:
    """A mapping of dotted paths to lists of values."""
    if node is None:
        return ()
    if not node.is_map or not node.value:
        message = f"expected a mapping of fields to lists of values, got {shown(node.plain())}"
        reader.problems.add(node.mark, place, message)
        return ()
    axes = []
    for path, values in node.value.items():
        if known_path(path, place, values.mark, reader.problems):
            axis = read_axis(path, values, f"{place}.{path}", reader, place == "axes")
            if axis is not None:
                axes.append(axis)
    reader.refuse_both({axis.path: axis.mark for axis in axes})
    return tuple(axes)


def known_path(path: str, place: str, mark: Mark, problems: Problems) -> bool:
    """Whether a dotted path names a field; a problem if not."""
    if path in fields():
        return True
    problems.add(mark, place, unknown_field(path))
    return False


def read_axis(path: str, node: Node, where: str, reader: Reader, once: bool = True) -> Axis | None:
    """The values of one field; None where one is wrong, which is told of.

    Args:
        once: whether no value may stand twice: in `zip` the other lists may tell points apart.
    """
    items = items_of(node, where, reader.problems)
    if items is None:
        return None
    choices: list[Values] = []
    seen: set[Any] = set()
    sound = True
    for item in items:
        choice = reader.value(path, item, where)
        if choice is None:
            sound = False
            continue
        value = tuple(given.value for given in choice.values())
        if value in seen and once:
            message = f"{shown(item.plain())} stands twice: points would repeat"
            reader.problems.add(item.mark, where, message)
        seen.add(value)
        choices.append(choice)
    return Axis(path, tuple(choices), node.mark) if sound else None


def read_zip(node: Node | None, reader: Reader) -> tuple[Axis, ...]:
    """Axes of equal length that move together."""
    axes = read_axes(node, "zip", reader)
    lengths = {len(axis.choices) for axis in axes}
    if len(lengths) > 1:
        said = ", ".join(f"{axis.path} {len(axis.choices)}" for axis in axes)
        mark = node.mark if node is not None else axes[0].mark
        reader.problems.add(mark, "zip", f"lists must be of equal length; lengths: {said}")
        return ()
    return axes


def refuse_twice(axes: tuple[Axis, ...], zipped: tuple[Axis, ...], problems: Problems) -> None:
    """A field is swept once: by axes or by zip."""
    swept = {axis.path: axis.mark for axis in axes}
    for axis in zipped:
        if axis.path in swept:
            message = f"is swept by axes as well ({swept[axis.path]}); keep one"
            problems.add(axis.mark, f"zip.{axis.path}", message)


def read_include(node: Node | None, reader: Reader) -> tuple[Entry, ...]:
    """A list of mappings, each one point more."""
    entries = []
    for number, entry in enumerate(_mappings(node, "include", reader.problems), 1):
        place = f"include {number}"
        stages: tuple[Stage, ...] | None = None
        seeds: tuple[int, ...] | None = None
        values: dict[str, Given] = {}
        marks: dict[str, Mark] = {}
        for path, value in entry.value.items():
            if path == "stages":
                stages = read_stages(value, f"{place}: stages", reader.problems, reader.sizes)
            elif path == "seeds":
                seeds = read_seeds(value, f"{place}: seeds", reader.problems)
            elif known_path(path, place, value.mark, reader.problems):
                marks[path] = value.mark
                values.update(reader.value(path, value, f"{place}: {path}") or {})
        reader.refuse_both(marks)
        entries.append(Entry(values, stages, seeds, entry.mark))
    return tuple(entries)


def read_exclude(node: Node | None, reader: Reader) -> tuple[Exclusion, ...]:
    """A list of mappings; a list as value means any of its items."""
    exclusions = []
    for number, entry in enumerate(_mappings(node, "exclude", reader.problems), 1):
        place = f"exclude {number}"
        tests: dict[str, tuple[Values, ...]] = {}
        seeds: tuple[int, ...] | None = None
        for path, value in entry.value.items():
            if path in ("seed", "seeds"):
                listed = value if value.is_list else Node([value], value.mark)
                seeds = read_seeds(listed, f"{place}: {path}", reader.problems)
            elif known_path(path, place, value.mark, reader.problems):
                tests[path] = _alternatives(path, value, f"{place}: {path}", reader)
        exclusions.append(Exclusion(tests, seeds, entry.mark))
    return tuple(exclusions)


def _alternatives(path: str, node: Node, place: str, reader: Reader) -> tuple[Values, ...]:
    several = looks_like_range(node.value) or (
        node.is_list and (not _is_list_field(path) or all(item.is_list for item in node.value))
    )
    items = items_of(node, place, reader.problems) if several else [node]
    read = (reader.value(path, item, place) for item in items or [])
    return tuple(choice for choice in read if choice is not None)


def _is_list_field(path: str) -> bool:
    return path not in (SIZE, *TOWERS) and field(path).is_list


def _mappings(node: Node | None, place: str, problems: Problems) -> list[Node]:
    if node is None:
        return []
    if not node.is_list or not node.value:
        message = f"expected a list of {{field: value}} mappings, got {shown(node.plain())}"
        problems.add(node.mark, place, message)
        return []
    good = []
    for number, entry in enumerate(node.value, 1):
        if entry.is_map and entry.value:
            good.append(entry)
        else:
            message = f"expected {{field: value}} with dotted fields, got {shown(entry.plain())}"
            problems.add(entry.mark, f"{place} {number}", message)
    return good


def read_seeds(node: Node | None, place: str, problems: Problems) -> tuple[int, ...] | None:
    """A list of different whole numbers, or a range; None if absent or wrong."""
    if node is None:
        return None
    items = items_of(node, place, problems)
    seeds: dict[int, None] = {}
    for item in items or []:
        seed = item.value
        whole = isinstance(seed, int) and not isinstance(seed, bool)
        if not whole or not 0 <= seed <= LARGEST_SEED:
            message = f"expected a whole number from 0 to {LARGEST_SEED}, got {shown(item.plain())}"
            problems.add(item.mark, place, message)
        elif seed in seeds:
            problems.add(item.mark, place, f"{seed} stands twice: points would repeat")
        else:
            seeds[seed] = None
    return tuple(seeds) or None


def defaults() -> Mapping[str, Any]:
    """What every field is when nobody gives it."""
    return {path: each.default for path, each in fields().items()}
