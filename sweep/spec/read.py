"""A sweep file, understood: every value checked against its field, every mistake found at once.

`read` turns a merged document into a `Spec`. What concerns single values and the file's shape is
decided here; what concerns whole points (a patch that does not divide the resolution) in
sweep.planning.points, once the grid is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sweep.model import Resources
from sweep.planning.grid import Axis, Entry, Exclusion, Values
from sweep.search.model import Search
from sweep.spec import searching, sweeping
from sweep.spec.document import Document
from sweep.spec.fields import (
    GENERATION,
    RESOURCE_KINDS,
    SECTIONS,
    SIZE,
    STAGE2,
    TOWERS,
    fields,
    given_fields,
    tower_of,
    unknown_field,
)
from sweep.spec.mappings import mapping
from sweep.spec.problems import Mark, Problems, nearest, shown
from sweep.spec.reader import Reader
from sweep.spec.stages import Stage, idle_sections, read_stages
from sweep.spec.values import Given
from sweep.spec.yamlfile import Node
from vitok_core.kinds import KINDS
from vitok_core.variants import SIZES, Tower

GRID_KEYS = ("axes", "zip", "include", "exclude", "seeds")
TOP_KEYS = ("extends", "sizes", *SECTIONS, *GRID_KEYS, "search", "stages", "resources")
MOST_POINTS = 100_000
_STAGE2 = "is of stage 2, which these points do not run; add `- train: stage2` to their stages"
_GENERATE = (
    "is of generators, which these points do not train; add `- generate: {model: DiT-L, cfg: 1.5}` "
    "to their stages"
)
IDLE = {**dict.fromkeys(STAGE2, _STAGE2), **dict.fromkeys(GENERATION, _GENERATE)}


@dataclass(frozen=True)
class Spec:
    """A valid sweep file. `values` hold for every point unless the grid says otherwise."""

    name: str
    file: str
    mark: Mark
    document: Mapping[str, Any]  # the resolved file: bases and --set merged, defaults filled in
    sizes: Mapping[str, Tower]
    values: Values
    section_marks: Mapping[str, Mark]
    axes: tuple[Axis, ...]
    zipped: tuple[Axis, ...]
    include: tuple[Entry, ...]
    exclude: tuple[Exclusion, ...]
    seeds: tuple[int, ...]
    stages: tuple[Stage, ...]
    resources: Mapping[str, Resources]
    search: Search | None = None  # its space is among the axes, an interval by its two ends

    @property
    def idle(self) -> frozenset[str]:
        """The sections that no point has a use for."""
        several = (self.stages, *(entry.stages or self.stages for entry in self.include))
        return frozenset.intersection(*(frozenset(idle_sections(each)) for each in several))


def read(document: Document) -> Spec:
    """Check a whole document; SpecError lists everything that is wrong with it."""
    spec, problems = examine(document)
    problems.check()
    return spec


def examine(document: Document) -> tuple[Spec, Problems]:
    """Read as much as can be read: a spec of what is sound, and what is wrong with the rest."""
    problems = Problems()
    root = document.root.value
    for key, node in root.items():
        if key not in TOP_KEYS:
            problems.add(node.mark, str(key), f"unknown key{_near_top(key)}")
    sizes = _sizes(root.get("sizes"), problems)
    reader = Reader(sizes, problems)
    values, given = _sections(root, reader)
    axes = sweeping.read_axes(root.get("axes"), "axes", reader)
    zipped = sweeping.read_zip(root.get("zip"), reader)
    swept = {axis.path: axis.mark for axis in (*axes, *zipped)}
    sweeping.refuse_twice(axes, zipped, problems)
    stages = _stages(root.get("stages"), document, problems, sizes)
    search = searching.read_search(root.get("search"), stages, values, reader)
    searching.refuse_beside(search, root, swept, problems)
    if search is not None:
        search = replace(search, studies=_combinations(axes, zipped))
        axes = (*axes, *(each.axis for each in search.space if each.path not in swept))
        swept |= {each.path: each.mark for each in search.space}
    reader.refuse_both({**given, **swept})
    include = sweeping.read_include(root.get("include"), reader)
    exclude = sweeping.read_exclude(root.get("exclude"), reader)
    seeds = sweeping.read_seeds(root.get("seeds"), "seeds", problems) or (0,)
    resources = _resources(root.get("resources"), reader)
    small = _limit(axes, zipped, include, seeds, root, problems)
    spec = Spec(
        name=document.name,
        file=document.file,
        mark=document.mark,
        document={},
        sizes=sizes,
        values=values,
        section_marks={key: node.mark for key, node in root.items()},
        axes=axes,
        zipped=zipped,
        include=include,
        exclude=exclude,
        seeds=seeds if small else (),  # nobody may enumerate a grid that is too large
        stages=stages,
        resources=resources,
        search=search,
    )
    if stages:
        _refuse_idle(spec, root["stages"].mark, problems)
    resolved = {} if problems else _resolved(document, spec.idle)
    return replace(spec, document=resolved), problems


def _near_top(key: str) -> str:
    inside = [path for path in fields() if path.endswith(f".{key}") and path.count(".") == 1]
    if inside:
        return f"; did you mean {inside[0]}?"
    hint = nearest(key, TOP_KEYS)
    return hint if "did you mean" in hint else f"; known: {', '.join(TOP_KEYS)}"


def _sizes(node: Node | None, problems: Problems) -> Mapping[str, Tower]:
    sizes = dict(SIZES)
    for name, entry in mapping(node, "sizes", problems).items():
        place = f"sizes.{name}"
        if name in SIZES:
            problems.add(entry.mark, place, f"size {name} is the paper's (Table 1); choose a name")
        elif not (name.isascii() and name.isalnum() and name[0].isalpha()):
            problems.add(entry.mark, place, "a size's name is letters and digits, a letter first")
        elif not entry.is_map:
            message = f"expected {{width, blocks, heads}}, got {shown(entry.plain())}"
            problems.add(entry.mark, place, message)
        else:
            try:
                sizes[name] = tower_of(entry.plain())
            except ValueError as error:
                problems.add(entry.mark, place, str(error))
    return sizes


def _sections(root: Mapping[str, Node], reader: Reader) -> tuple[dict[str, Given], dict[str, Mark]]:
    values: dict[str, Given] = {}
    given: dict[str, Mark] = {}
    for section in SECTIONS:
        for name, node in mapping(root.get(section), section, reader.problems).items():
            path = f"{section}.{name}"
            if path not in fields():
                reader.problems.add(node.mark, path, unknown_field(path))
                continue
            if node.value is None and path in (SIZE, *TOWERS):
                continue  # null drops what a base says
            given[path] = node.mark
            values.update(reader.value(path, node) or {})
    reader.refuse_both(given)
    return values, given


def _stages(
    node: Node | None, document: Document, problems: Problems, sizes: Mapping[str, Tower]
) -> tuple[Stage, ...]:
    if node is None:
        message = "missing: expected a list such as [train: stage1, reconstruct: [photos-tune]]"
        problems.add(document.mark, "stages", message)
        return ()
    return read_stages(node, "stages", problems, sizes)


def _resources(node: Node | None, reader: Reader) -> Mapping[str, Resources]:
    problems = reader.problems
    given: dict[str, dict[str, Any]] = {}
    for kind, entry in mapping(node, "resources", problems).items():
        if kind not in RESOURCE_KINDS:
            message = f"unknown job kind '{kind}'{nearest(kind, RESOURCE_KINDS)}"
            problems.add(entry.mark, "resources", message)
            continue
        given[kind] = {}
        for name, value in mapping(entry, f"resources.{kind}", problems).items():
            path = f"resources.{kind}.{name}"
            if path not in fields():
                message = f"unknown field '{name}'{nearest(name, Resources.model_fields)}"
                problems.add(value.mark, path, message)
                continue
            checked = reader.value(path, value)
            if checked is not None:
                given[kind][name] = checked[path].value
    shared = given.get("default", {})
    return {kind: Resources(**{**shared, **given.get(kind, {})}) for kind in KINDS}


def _refuse_idle(spec: Spec, stages: Mark, problems: Problems) -> None:
    """Refuse what the file itself says of trainings that no point runs; a protocol may say it.

    Stages of the command line may leave out what the file describes.
    """
    file = spec.file if stages.place == spec.file else None
    idle = spec.idle
    for path, given in spec.values.items():
        written = given.mark.place == file or given.mark.place.startswith("--set ")
        section = path.partition(".")[0]
        if section in idle and written:
            problems.add(given.mark, path, IDLE[section])


def _limit(
    axes: tuple[Axis, ...],
    zipped: tuple[Axis, ...],
    include: tuple[Entry, ...],
    seeds: tuple[int, ...],
    root: Mapping[str, Node],
    problems: Problems,
) -> bool:
    """Refuse a grid that is too large before a single point of it is made; whether it is small."""
    points = _combinations(axes, zipped) if axes or zipped or not include else 0
    points = (points + len(include)) * len(seeds)
    if points > MOST_POINTS:
        place = next(key for key in (*GRID_KEYS, "search") if key in root)
        message = f"the grid has {points:,} points; at most {MOST_POINTS:,} make a sweep"
        problems.add(root[place].mark, place, message)
    return points <= MOST_POINTS


def _combinations(axes: tuple[Axis, ...], zipped: tuple[Axis, ...]) -> int:
    """Of the axes' values, and of those that move together."""
    together = len(zipped[0].choices) if zipped else 1
    return math.prod(len(axis.choices) for axis in axes) * together


def _resolved(document: Document, idle: frozenset[str]) -> dict[str, Any]:
    """The merged document with the defaults of every section filled in; reads back as itself.

    Without what a protocol says of trainings that no point runs.
    """
    plain = document.root.plain()
    resolved: dict[str, Any] = {}
    for key in TOP_KEYS:
        if key in idle:
            continue
        if key in SECTIONS:
            resolved[key] = dict(plain.get(key, {}))
            for name, info in given_fields(SECTIONS[key]):
                if not info.is_required() and name not in resolved[key]:
                    resolved[key][name] = _listed(info.default)
        elif key in plain:
            resolved[key] = plain[key]
    resolved.setdefault("seeds", [0])
    return resolved


def _listed(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default
