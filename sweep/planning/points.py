"""From the grid's rows to scientific configurations: joined, checked as a whole, named, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sweep.planning import identity
from sweep.planning.estimate import macs_of, shape_of
from sweep.planning.grid import Excluder, Row, rows
from sweep.planning.sections import MISSING, TRAINED, Fault, Faulty, Section, Sections, place, said
from sweep.spec.fields import tower_name
from sweep.spec.problems import Mark, Problems, shown
from sweep.spec.read import Spec
from sweep.spec.scalars import LARGEST
from sweep.spec.sweeping import defaults
from vitok_core.config import TokenizerJob, TrainConfig
from vitok_core.cost import Shape, tokenizer_parameters
from vitok_core.kinds import KINDS
from vitok_core.variants import Tower, Variant


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
    maker = _Maker(spec, partial)
    excluder = Excluder(spec.exclude, spec.values, defaults())
    faults: dict[Fault, list[Row]] = {}
    made: list[Draft] = []
    tried = 0
    for row in rows(spec.axes, spec.zipped, spec.include, spec.seeds, spec.mark):
        if spec.exclude and excluder.drops(row):
            continue
        tried += 1
        try:
            made.append(maker.draft(row))
        except Faulty as error:
            for fault in error.faults:
                faults.setdefault(fault, []).append(row)
    for (mark, path, message), where in faults.items():
        if not (partial and message.startswith(MISSING)):
            some = len(where) < tried
            problems.add(mark, path, message + (_points_with(where, spec) if some else ""))
    if not partial:
        for exclusion in excluder.unmatched():
            problems.add(exclusion.mark, "exclude", "matches no point of the grid")
        if not made and not problems:
            problems.add(spec.exclude[0].mark, "exclude", "leaves no point")
        _refuse_repeats(made, "axes" if spec.axes else "zip", problems)
    problems.check()
    return made


def _points_with(where: list[Row], spec: Spec) -> str:
    first = where[0].values
    at = ", ".join(f"{path} {_shown(given.value, spec)}" for path, given in first.items())
    if not at:
        return ""
    return f" ({at})" if len(where) == 1 else f" ({len(where):,} points, first: {at})"


def _shown(value: Any, spec: Spec) -> str:
    return tower_name(value, spec.sizes) if isinstance(value, Tower) else shown(value)


def _refuse_repeats(made: list[Draft], grid: str, problems: Problems) -> None:
    seen: dict[str, Draft] = {}
    told: set[tuple[Mark, bool]] = set()
    for draft in made:
        first = seen.setdefault(draft.id, draft)
        row = draft.row
        if first is draft or (row.mark, row.included) in told:
            continue
        told.add((row.mark, row.included))  # one is told of: the others are of the same making
        where = f"include ({first.row.mark})" if first.row.included else "the grid"
        idle = [path for path in row.values if path.partition(".")[0] not in TRAINED]
        why = f": {', '.join(idle)} makes no other tokenizer" if idle else ""
        message = f"repeats the point {draft.slug} of {where}{why}"
        problems.add(row.mark, "include" if row.included else grid, message)


class _Maker:
    """Makes drafts, remembering every section and combination that it has seen."""

    def __init__(self, spec: Spec, partial: bool) -> None:
        self._spec = spec
        self._partial = partial
        self._sections = Sections(spec)
        self._trained: dict[tuple[int, ...], Trained | list[Fault]] = {}
        self._names: dict[tuple[Tower, Tower, int, int], tuple[str, str, str]] = {}

    def draft(self, row: Row) -> Draft:
        found = self._sections.of(row)
        faults = [fault for each in found.values() if isinstance(each, list) for fault in each]
        if self._partial and all(message.startswith(MISSING) for _, _, message in faults):
            self._check_shape(found, row)
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

    def _check_shape(self, found: Mapping[str, Section | list[Fault]], row: Row) -> None:
        """Check patch against resolution though the file's other values are wrong: a schedule that
        cannot be read hides no mistake of the grid."""
        models = {name: each.model for name, each in found.items() if isinstance(each, Section)}
        if {"tokenizer", "data"} <= models.keys():
            job = {**models, "train": TrainConfig(steps=1, batch=1), "seed": 0}
            job = {name: job[name] for name in ("tokenizer", "data", "train", "seed")}
            self._joined(job, row)

    def _joined(self, models: Mapping[str, Any], row: Row) -> TokenizerJob:
        try:
            return TokenizerJob(**models)
        except ValidationError as error:
            given = {**self._spec.values, **row.values}
            raise Faulty(
                [place(said(item), "tokenizer", given, row, row.mark) for item in error.errors()]
            ) from None

    def _name(self, encoder: Tower, decoder: Tower, p: int, q: int) -> tuple[str, str, str]:
        key = (encoder, decoder, p, q)
        if key not in self._names:
            sizes = self._spec.sizes
            names = tower_name(encoder, sizes), tower_name(decoder, sizes)
            self._names[key] = (*names, str(Variant(*names, p, q)))
        return self._names[key]

    def _train(self, sections: Mapping[str, Section], row: Row) -> Trained:
        key = tuple(id(sections[name]) for name in TRAINED)
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
        job = self._joined({name: sections[name].model for name in TRAINED}, row)
        shape = shape_of(job.tokenizer, job.data)
        if shape.code > LARGEST:
            message = f"the code has {shape.code:,} values (E); that is no tokenizer"
            raise Faulty([(row.mark, "tokenizer", message)])
        parts = {name: sections[name].json for name in TRAINED}
        stage = identity.train_stage(
            "tokenizer", KINDS["tokenizer"].revision, identity.object_json(dict(parts))
        )
        towers = job.tokenizer.encoder, job.tokenizer.decoder
        return Trained(
            job=job,
            parts=parts,
            config={n: sections[n].config for n in sorted(TRAINED) if sections[n].json is not None},
            identity=stage,
            config_id=identity.config_id([stage]),
            shape=shape,
            parameters=tokenizer_parameters(*towers, shape),
            macs=macs_of(job.tokenizer, shape),
            slug=slug_of(job, shape),
        )


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
