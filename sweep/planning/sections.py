"""The sections of a point (tokenizer, data, loss, train, …), each validated once.

A grid of thousands of points has few distinct sections; what a section's validators say is told of
where the values stand in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from sweep.planning import identity
from sweep.planning.grid import Row
from sweep.spec.fields import (
    GENERATION,
    GENERATOR,
    SECTIONS,
    STAGE2,
    TOWERS,
    field,
    tower_of,
)
from sweep.spec.problems import Mark
from sweep.spec.read import IDLE, Spec
from sweep.spec.stages import Stage, idle_sections
from sweep.spec.values import Given
from vitok_core import plugins
from vitok_core.config import FinetuneJob, TokenizerJob
from vitok_core.data.sources import data_set, data_set_names

TRAINED = ("tokenizer", "data", "loss", "train")  # the sections of a tokenizer job
FINETUNED = ("tokenizer", "data", "loss", *STAGE2)  # of a finetune job
MISSING = "missing"
_WANTED = {  # of what not every point has: the stage that wants the section
    **dict.fromkeys(STAGE2, "`- train: stage2`"),
    **dict.fromkeys(GENERATION, "`- generate: …`"),
}
_TWICE = "is swept, and given in `generate: {model: …}` as well; leave it out there"


@dataclass(frozen=True)
class Section:
    """One section as some points have it. `json` is None where it is left out as a default."""

    model: Any
    config: Mapping[str, Any]
    json: str | None


Fault = tuple[Mark, str, str]  # where, field, message


class Faulty(Exception):  # noqa: N818  (a signal between two methods)
    """A point that is not valid, with all that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = faults


class Sections:
    """Makes sections of rows and remembers them."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        # Keys hold the ids of Given objects, which live as long as the spec does.
        self._made: dict[tuple[Any, ...], Section | list[Fault]] = {}
        self._sources: dict[str, str] = {}  # hashes by package

    def of(self, row: Row) -> dict[str, Section | list[Fault]]:
        """Each section of a row, or what is wrong with it, but for those of its generators; stage
        2's only where it is trained."""
        own = _own(row)
        stages = row.stages or self._spec.stages
        idle = idle_sections(stages) if stages else ()  # none: they could not be read
        found = {
            name: self._section(name, own[name], row)
            for name in SECTIONS
            if name not in idle and name not in GENERATION
        }
        faults: dict[str, Section | list[Fault]] = {
            name: [(given.mark, path, IDLE[name]) for path, given in own[name]]
            for name in idle
            if own[name]
        }
        return {**found, **faults}

    def of_generator(self, row: Row, stage: Stage) -> dict[str, Section | list[Fault]]:
        """The sections of the generators of one `generate` stage, or what is wrong with them."""
        own = _own(row)
        model = stage.generation.model if stage.generation else None
        if model is not None:
            swept = [(given.mark, path, _TWICE) for path, given in own["generator"]
                     if path == GENERATOR]  # fmt: skip
            if swept:
                return {"generator": swept}
            own["generator"].append((GENERATOR, model))
        return {name: self._section(name, own[name], row) for name in GENERATION}

    def _section(self, name: str, own: list[tuple[str, Given]], row: Row) -> Section | list[Fault]:
        key = (name, *(id(given) for _, given in own))
        if not own:  # where a missing field is told of depends on the row
            key = (name, row.included and id(row.mark))
        if key not in self._made:
            try:
                self._made[key] = self._make_section(name, dict(own), row)
            except Faulty as error:
                self._made[key] = error.faults
        return self._made[key]

    def _make_section(self, name: str, own: dict[str, Given], row: Row) -> Section:
        prefix = f"{name}."
        given = {p: v for p, v in self._spec.values.items() if p.startswith(prefix)} | own
        values = self._join_towers(given) if name == "tokenizer" else given
        named = {path.removeprefix(prefix): each.value for path, each in values.items()}
        if name == "data":
            self._fill_version(named, given)
        if named.get("class"):
            named["class_sha256"] = self._source_sha256(named["class"])
        try:
            model = SECTIONS[name](**named)
        except ValidationError as error:
            raise Faulty(self._section_faults(error, name, given, row)) from None
        config = identity.scientific(model)  # type: ignore[arg-type]
        return Section(
            model, config, None if _is_default(name, model) else identity.canonical_json(config)
        )

    def _join_towers(self, given: Mapping[str, Given]) -> dict[str, Given]:
        """Apply `tokenizer.encoder.blocks` and the like to the tower that they are part of."""
        joined = {path: each for path, each in given.items() if path.count(".") == 1}
        for tower in TOWERS:
            parts = {p: g for p, g in given.items() if p.startswith(f"{tower}.")}
            if not parts:
                continue
            whole = joined[tower].value.model_dump() if tower in joined else {}
            whole |= {path.rpartition(".")[2]: each.value for path, each in parts.items()}
            mark = next(iter(parts.values())).mark
            try:
                joined[tower] = Given(tower_of(whole), mark)
            except ValueError as error:
                raise Faulty([(mark, tower, str(error))]) from None
        return joined

    def _source_sha256(self, code: str) -> str:
        """The hash of a class's package, once for the whole plan."""
        top = plugins.top_of(code)
        if top not in self._sources:
            self._sources[top] = plugins.source_sha256(top)
        return self._sources[top]

    def _fill_version(self, named: dict[str, Any], given: Mapping[str, Given]) -> None:
        if "name" not in named:
            return
        registered = data_set(named["name"]).version
        if named.setdefault("version", registered) != registered:
            message = (
                f"{named['name']} is registered as version {registered}, not {named['version']}"
            )
            raise Faulty([(given["data.version"].mark, "data.version", message)])

    def _section_faults(
        self, error: ValidationError, name: str, given: Mapping[str, Given], row: Row
    ) -> list[Fault]:
        here = self._spec.section_marks.get(name, self._spec.mark)
        if row.included:
            here = row.mark
        elif here.place != self._spec.file:
            here = self._spec.mark  # a base is not to blame for what the file leaves out
        faults: list[Fault] = []
        for item in error.errors():
            path = ".".join([name, *(str(part) for part in item["loc"])])
            if item["type"] == "missing":
                stage = f"; {_WANTED[name]} wants it" if name in _WANTED else ""
                faults.append((here, path, f"{MISSING}: expected {_expected(path)}{stage}"))
            else:
                faults.append(place(said(item), name, given, row, here))
        return faults


def _own(row: Row) -> dict[str, list[tuple[str, Given]]]:
    """What the row itself says, by section."""
    own: dict[str, list[tuple[str, Given]]] = {name: [] for name in SECTIONS}
    for path, given in row.values.items():
        section = path.partition(".")[0]
        if section in own:
            own[section].append((path, given))
    return own


def said(item: Mapping[str, Any]) -> str:
    """What one of our validators said, without pydantic's wrapping."""
    return str(item["msg"]).removeprefix("Value error, ")


def _is_default(name: str, model: BaseModel) -> bool:
    info = {**FinetuneJob.model_fields, **TokenizerJob.model_fields}.get(name)
    return info is not None and not info.is_required() and model == info.default


def _expected(path: str) -> str:
    if path in TOWERS:
        return "a size such as S, or give tokenizer.size: S-B"
    if path == GENERATOR:
        return "a size such as DiT-L, here or in `generate: {model: DiT-L, …}`"
    if path == "data.name":
        return f"a data set ({', '.join(data_set_names())})"
    return field(path).expectation


def place(message: str, name: str, given: Mapping[str, Given], row: Row, here: Mark) -> Fault:
    """Where a fault of a whole section is told of: a field that it names, a swept one first, then
    one of the file rather than of a base."""
    words = re.findall(r"[a-z_.]+", message)
    named = [path for word in words for path in (word, f"{name}.{word}") if path in given]
    order = {path: (path not in row.values, given[path].mark.place != here.place) for path in named}
    for path in sorted(named, key=lambda path: order[path]):
        return given[path].mark, path, message
    return here, name, message
