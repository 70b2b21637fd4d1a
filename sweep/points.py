"""From the grid's rows to scientific configurations: validated, named, counted.

A grid of thousands of points has few distinct sections (tokenizers, data, losses, schedules): each
is validated and brought into canonical form once, and a point only joins them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from sweep import identity
from sweep.estimate import macs_of, shape_of
from sweep.fields import SECTIONS, TOWERS, field, tower_name, tower_of
from sweep.grid import Excluder, Given, Row, rows
from sweep.problems import Mark, Problems, shown
from sweep.scalars import LARGEST
from sweep.spec import Spec
from sweep.sweeping import defaults
from vitok_core.config import EvaluationConfig, TokenizerJob
from vitok_core.cost import Shape, tokenizer_parameters
from vitok_core.data.sources import DATASETS
from vitok_core.kinds import KINDS
from vitok_core.variants import Tower, Variant

_MISSING = "missing"
_TRAINED = ("tokenizer", "data", "loss", "train")  # the sections of a tokenizer job


@dataclass(frozen=True)
class Section:
    """One section as some points have it. `json` is None where it is left out as a default."""

    model: Any
    config: Mapping[str, Any]
    json: str | None


@dataclass(frozen=True)
class Trained:
    """A tokenizer job before its seed is set, with what follows from it."""

    job: TokenizerJob
    parts: Mapping[str, str | None]  # canonical JSON by section
    config: Mapping[str, Any]
    identity: str
    config_id: str
    shape: Shape
    parameters: int
    macs: int
    slug: str


@dataclass(frozen=True)
class Draft:
    """A valid point, not yet planned."""

    row: Row
    trained: Trained
    data: Section
    evaluation: Section
    id: str
    slug: str
    encoder: str
    decoder: str
    variant: str

    @property
    def job(self) -> TokenizerJob:
        return self.trained.job

    @property
    def seed(self) -> int:
        return self.row.seed


Fault = tuple[Mark, str, str]  # where, field, message


class Faulty(Exception):  # noqa: N818  (a signal between two methods)
    """A point that is not valid, with all that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults = faults


def drafts(spec: Spec, problems: Problems | None = None) -> list[Draft]:
    """All points of a sweep.

    Args:
        problems: what is wrong with the file already. What wrong values leave out is then not
            missed a second time; what else is wrong with the points is added.

    Raises:
        SpecError: all problems; equal ones once, however many points have them.
    """
    problems = Problems() if problems is None else problems
    partial = bool(problems)
    maker = _Maker(spec)
    excluder = Excluder(spec.exclude, spec.values, defaults())
    faults: dict[Fault, list[Row]] = {}
    made: list[Draft] = []
    for row in rows(spec.axes, spec.zipped, spec.include, spec.seeds, spec.mark):
        if spec.exclude and excluder.drops(row):
            continue
        try:
            made.append(maker.draft(row))
        except Faulty as error:
            for fault in error.faults:
                faults.setdefault(fault, []).append(row)
    for (mark, path, message), where in faults.items():
        if not (partial and message.startswith(_MISSING)):
            problems.add(mark, path, message + _points_with(where, spec))
    if not partial:
        for exclusion in excluder.unmatched():
            problems.add(exclusion.mark, "exclude", "matches no point of the grid")
        if not made and not problems:
            problems.add(spec.exclude[0].mark, "exclude", "leaves no point")
    _refuse_repeats(made, problems)
    problems.check()
    return made


def _points_with(where: list[Row], spec: Spec) -> str:
    first = where[0].values
    if not first:
        return ""
    said = ", ".join(f"{path} {_shown(given.value, spec)}" for path, given in first.items())
    return f" ({said})" if len(where) == 1 else f" ({len(where):,} points, first: {said})"


def _shown(value: Any, spec: Spec) -> str:
    return tower_name(value, spec.sizes) if isinstance(value, Tower) else shown(value)


def _refuse_repeats(made: list[Draft], problems: Problems) -> None:
    seen: dict[str, Draft] = {}
    for draft in made:
        first = seen.setdefault(draft.id, draft)
        if first is not draft:
            where = "the grid" if not first.row.included else f"include ({first.row.mark})"
            message = (
                f"repeats the point {draft.slug} of {where}: nothing that its training depends on "
                f"differs"
            )
            problems.add(draft.row.mark, "include" if draft.row.included else "axes", message)


class _Maker:
    """Makes drafts, remembering every section and combination that it has seen."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        # Keys hold the ids of Given objects, which live as long as the spec does.
        self._sections: dict[tuple[Any, ...], Section | list[Fault]] = {}
        self._trained: dict[tuple[int, ...], Trained | list[Fault]] = {}
        self._names: dict[tuple[Tower, Tower, int, int], tuple[str, str, str]] = {}

    def draft(self, row: Row) -> Draft:
        own: dict[str, list[tuple[str, Given]]] = {name: [] for name in SECTIONS}
        for path, given in row.values.items():
            section = path.partition(".")[0]
            if section in own:
                own[section].append((path, given))
        found = {name: self._section(name, own[name], row) for name in SECTIONS}
        faults = [fault for each in found.values() if isinstance(each, list) for fault in each]
        if faults:
            raise Faulty(faults)
        sections = {name: each for name, each in found.items() if isinstance(each, Section)}
        trained = self._train(sections, row)
        tokenizer = trained.job.tokenizer
        encoder, decoder, variant = self._name(
            tokenizer.encoder, tokenizer.decoder, tokenizer.patch, tokenizer.stride
        )
        return Draft(
            row=row,
            trained=trained,
            data=sections["data"],
            evaluation=sections["evaluation"],
            id=identity.point_id([trained.identity], row.seed),
            slug=f"{trained.slug}-s{row.seed}",
            encoder=encoder,
            decoder=decoder,
            variant=variant,
        )

    def _name(self, encoder: Tower, decoder: Tower, p: int, q: int) -> tuple[str, str, str]:
        key = (encoder, decoder, p, q)
        if key not in self._names:
            sizes = self._spec.sizes
            names = tower_name(encoder, sizes), tower_name(decoder, sizes)
            self._names[key] = (*names, str(Variant(*names, p, q)))
        return self._names[key]

    def _section(self, name: str, own: list[tuple[str, Given]], row: Row) -> Section | list[Fault]:
        key = (name, *(id(given) for _, given in own))
        if not own:  # where a missing field is told of depends on the row
            key = (name, row.included and id(row.mark))
        if key not in self._sections:
            try:
                self._sections[key] = self._make_section(name, dict(own), row)
            except Faulty as error:
                self._sections[key] = error.faults
        return self._sections[key]

    def _make_section(self, name: str, own: dict[str, Given], row: Row) -> Section:
        prefix = f"{name}."
        given = {p: v for p, v in self._spec.values.items() if p.startswith(prefix)} | own
        values = self._join_towers(given) if name == "tokenizer" else given
        named = {path.removeprefix(prefix): each.value for path, each in values.items()}
        if name == "data":
            self._fill_version(named, given)
        try:
            model = SECTIONS[name](**named)
        except ValidationError as error:
            raise Faulty(self._section_faults(error, name, given, row)) from None
        config = identity.scientific(model)  # type: ignore[arg-type]
        return Section(model, config, None if _is_default(name, model) else _json(config))

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

    def _fill_version(self, named: dict[str, Any], given: Mapping[str, Given]) -> None:
        if "name" not in named:
            return
        registered = DATASETS[named["name"]].version
        if named.setdefault("version", registered) != registered:
            message = (
                f"{named['name']} is registered as version {registered}, not {named['version']}"
            )
            raise Faulty([(given["data.version"].mark, "data.version", message)])

    def _section_faults(
        self, error: ValidationError, name: str, given: Mapping[str, Given], row: Row
    ) -> list[Fault]:
        here = self._spec.section_marks.get(name, self._spec.mark)
        here = row.mark if row.included else here
        faults: list[Fault] = []
        for item in error.errors():
            path = ".".join([name, *(str(part) for part in item["loc"])])
            if item["type"] == "missing":
                faults.append((here, path, f"{_MISSING}: expected {_expected(path)}"))
            else:
                message = item["msg"].removeprefix("Value error, ")
                faults.append(self._place(message, name, given, here))
        return faults

    def _place(self, message: str, name: str, given: Mapping[str, Given], here: Mark) -> Fault:
        """Where a fault of a whole section is told of: the first field it names that was given."""
        for word in re.findall(r"[a-z_.]+", message):
            for path in (word, f"{name}.{word}"):
                if path in given:
                    return given[path].mark, path, message
        return here, name, message

    def _train(self, sections: Mapping[str, Section], row: Row) -> Trained:
        key = tuple(id(sections[name]) for name in _TRAINED)
        if key not in self._trained:
            try:
                self._trained[key] = self._make_trained(sections, row)
            except Faulty as error:
                self._trained[key] = error.faults
        found = self._trained[key]
        if isinstance(found, list):
            raise Faulty(found)
        return found

    def _make_trained(self, sections: Mapping[str, Section], row: Row) -> Trained:
        models = {name: sections[name].model for name in _TRAINED}
        given = {**self._spec.values, **row.values}
        try:
            job = TokenizerJob(**models)
        except ValidationError as error:
            faults = [
                self._place(item["msg"].removeprefix("Value error, "), "tokenizer", given, row.mark)
                for item in error.errors()
            ]
            raise Faulty(faults) from None
        shape = shape_of(job.tokenizer, job.data)
        if shape.code > LARGEST:
            message = f"the code has {shape.code:,} values (E); that is no tokenizer"
            raise Faulty([(row.mark, "tokenizer", message)])
        parts = {name: sections[name].json for name in _TRAINED}
        stage = identity.train_stage(
            "tokenizer", KINDS["tokenizer"].revision, identity.object_json(dict(parts))
        )
        towers = job.tokenizer.encoder, job.tokenizer.decoder
        return Trained(
            job=job,
            parts=parts,
            config={
                n: sections[n].config for n in sorted(_TRAINED) if sections[n].json is not None
            },
            identity=stage,
            config_id=identity.config_id([stage]),
            shape=shape,
            parameters=tokenizer_parameters(*towers, shape),
            macs=macs_of(job.tokenizer, shape),
            slug=slug_of(job, shape),
        )


def _is_default(name: str, model: BaseModel) -> bool:
    info = (TokenizerJob if name in _TRAINED else EvaluationConfig).model_fields.get(name)
    return info is not None and not info.is_required() and model == info.default


def _json(config: Mapping[str, Any]) -> str:
    return identity.canonical_json(config)


def _expected(path: str) -> str:
    if path in TOWERS:
        return "a size such as S, or give tokenizer.size: S-B"
    if path == "data.name":
        return f"a data set ({', '.join(DATASETS)})"
    return field(path).expectation


def code_slug(shape: Shape) -> str:
    """`p16-c16-256p`; video: `p16-q4-c16-16x256p`."""
    stride = f"-q{shape.stride}" if shape.frames > 1 else ""
    frames = f"{shape.frames}x" if shape.frames > 1 else ""
    return f"p{shape.patch}{stride}-c{shape.channels}-{frames}{shape.resolution}p"


def slug_of(job: TokenizerJob, shape: Shape) -> str:
    """`S-B-p16-c16-256p`: from the configuration alone, so that every sweep says the same."""
    towers = (_tower_slug(job.tokenizer.encoder), _tower_slug(job.tokenizer.decoder))
    return f"{'-'.join(towers)}-{code_slug(shape)}"


def _tower_slug(tower: Tower) -> str:
    name = tower_name(tower)
    return f"{tower.width}x{tower.blocks}" if name.startswith("w") else name
