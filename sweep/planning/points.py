"""From the grid's rows to scientific configurations: joined, checked as a whole, named, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.planning import identity
from sweep.planning.generators import Generator, generators
from sweep.planning.grid import Excluder, Row, rows
from sweep.planning.scored import check_scored
from sweep.planning.sections import FINETUNED, MISSING, TRAINED, Fault, Faulty, Section, Sections
from sweep.planning.training import Finetuned, Trained, Trainings
from sweep.spec.fields import GENERATION, tower_name
from sweep.spec.problems import Mark, Problems, shown
from sweep.spec.read import Spec
from sweep.spec.stages import Stage
from sweep.spec.sweeping import defaults
from vitok_core.config import TokenizerJob, TrainConfig
from vitok_core.data.sources import data_set
from vitok_core.variants import Tower, Variant


@dataclass(frozen=True)
class Draft:
    """A valid point, not yet planned."""

    row: Row
    stages: tuple[Stage, ...]
    trained: Trained
    finetuned: Finetuned | None
    generators: tuple[Generator, ...]
    data: Section
    evaluation: Section
    id: str
    config_id: str
    slug: str
    encoder: str
    decoder: str
    variant: str

    @property
    def job(self) -> TokenizerJob:
        return self.trained.job

    @property
    def stage1_slug(self) -> str:
        """What its tokenizer is called, whatever stage 2 makes of it."""
        return f"{self.trained.slug}-s{self.seed}"

    def samples_of(self, dataset: str) -> dict[str, Any]:
        """How its jobs read a data set: the registered version, in the tokenizer's T×H×W."""
        data = self.job.data
        return {
            "version": data_set(dataset).version,
            "resolution": data.resolution,
            "frames": data.frames,
            "fps": data.fps,
        }

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
    # One tokenizer may have several generators.
    seen: dict[tuple[object, ...], Draft] = {}
    told: set[tuple[Mark, bool]] = set()
    for draft in made:
        key = (draft.id, *(each.identity for each in draft.generators))
        first = seen.setdefault(key, draft)
        row = draft.row
        if first is draft or (row.mark, row.included) in told:
            continue
        told.add((row.mark, row.included))  # one is told of: the others are of the same making
        where = f"include ({first.row.mark})" if first.row.included else "the grid"
        trained = {*TRAINED, *FINETUNED, *(GENERATION if draft.generators else ())}
        idle = [path for path in row.values if path.partition(".")[0] not in trained]
        why = f": {', '.join(idle)} makes no other tokenizer" if idle else ""
        message = f"repeats the point {draft.slug} of {where}{why}"
        problems.add(row.mark, "include" if row.included else grid, message)


class _Maker:
    """Makes drafts, remembering every section and combination that it has seen."""

    def __init__(self, spec: Spec, partial: bool) -> None:
        self._spec = spec
        self._partial = partial
        self._sections = Sections(spec)
        self._trainings = Trainings(spec)
        self._names: dict[tuple[Tower, Tower, int, int], tuple[str, str, str]] = {}

    def draft(self, row: Row) -> Draft:
        found = self._sections.of(row)
        faults = [fault for each in found.values() if isinstance(each, list) for fault in each]
        if self._partial and all(message.startswith(MISSING) for _, _, message in faults):
            self._check_shape(found, row)
        if faults:
            raise Faulty(faults)
        sections = {name: each for name, each in found.items() if isinstance(each, Section)}
        trained = self._trainings.stage1(sections, row)
        finetuned = self._trainings.stage2(sections)
        stages = row.stages or self._spec.stages
        check_scored(stages, trained, finetuned)
        made = generators(self._sections, row, stages, trained.job.data.name)
        tokenizer = trained.job.tokenizer
        encoder, decoder, variant = self._name(
            tokenizer.encoder, tokenizer.decoder, tokenizer.patch, tokenizer.stride
        )
        trains = [each.identity for each in (trained, finetuned) if each is not None]
        tuned = "" if finetuned is None else f"-{finetuned.slug}"
        return Draft(
            row=row,
            stages=stages,
            trained=trained,
            finetuned=finetuned,
            generators=made,
            data=sections["data"],
            evaluation=sections["evaluation"],
            id=identity.point_id(trains, row.seed),
            config_id=trained.config_id if finetuned is None else identity.config_id(trains),
            slug=f"{trained.slug}{tuned}-s{row.seed}",
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
            self._trainings.joined(job, row)

    def _name(self, encoder: Tower, decoder: Tower, p: int, q: int) -> tuple[str, str, str]:
        key = (encoder, decoder, p, q)
        if key not in self._names:
            sizes = self._spec.sizes
            names = tower_name(encoder, sizes), tower_name(decoder, sizes)
            self._names[key] = (*names, str(Variant(*names, p, q)))
        return self._names[key]
