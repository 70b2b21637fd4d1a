"""What a point trains: its sections joined into a job of stage 1 and, where it runs, of stage 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sweep.planning import identity
from sweep.planning.estimate import Macs, macs_of, shape_of
from sweep.planning.grid import Row
from sweep.planning.sections import FINETUNED, TRAINED, Fault, Faulty, Section, place, said
from sweep.planning.slugs import finetune_slug, tokenizer_slug
from sweep.spec.fields import STAGE2
from sweep.spec.read import Spec
from sweep.spec.scalars import LARGEST
from vitok_core.config import FinetuneJob, TokenizerJob
from vitok_core.cost import Shape, tokenizer_parameters
from vitok_core.kinds import KINDS


@dataclass(frozen=True)
class Trained:
    """A tokenizer job before its seed is set, with what follows from it."""

    job: TokenizerJob
    parts: Mapping[str, str | None]  # canonical JSON by section
    config: Mapping[str, Any]
    identity: str
    config_id: str
    shape: Shape
    parameters: int | None  # None: of a class of the user's own (see sweep.planning.counting)
    macs: Macs | None
    slug: str


@dataclass(frozen=True)
class Finetuned:
    """A finetune job before its seed is set; `slug` is what it adds to its tokenizer's."""

    job: FinetuneJob
    parts: Mapping[str, str | None]
    config: Mapping[str, Any]
    identity: str
    slug: str


class Trainings:
    """Joins sections, remembering every combination that it has seen."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        # Keys hold the ids of sections, which live as long as those who made them.
        self._trained: dict[tuple[int, ...], Trained | list[Fault]] = {}
        self._finetuned: dict[tuple[int, ...], Finetuned] = {}

    def stage1(self, sections: Mapping[str, Section], row: Row) -> Trained:
        """The training of a row's tokenizer; Faulty says what its sections together lack."""
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

    def stage2(self, sections: Mapping[str, Section]) -> Finetuned | None:
        """The fine-tuning of a row whose stage 1 is sound; None where it runs none."""
        if not sections.keys() >= set(STAGE2):
            return None
        key = tuple(id(sections[name]) for name in FINETUNED)
        if key not in self._finetuned:
            job = FinetuneJob(**{name: sections[name].model for name in FINETUNED})
            self._finetuned[key] = Finetuned(
                job=job,
                parts=(parts := _parts(sections, FINETUNED)),
                config=_config(sections, FINETUNED),
                identity=_identity("finetune", parts),
                slug=finetune_slug(job),
            )
        return self._finetuned[key]

    def joined(self, models: Mapping[str, Any], row: Row) -> TokenizerJob:
        """A tokenizer job of these models; Faulty where they do not go together."""
        try:
            return TokenizerJob(**models)
        except ValidationError as error:
            given = {**self._spec.values, **row.values}
            raise Faulty(
                [place(said(item), "tokenizer", given, row, row.mark) for item in error.errors()]
            ) from None

    def _make_trained(self, sections: Mapping[str, Section], row: Row) -> Trained:
        job = self.joined({name: sections[name].model for name in TRAINED}, row)
        shape = shape_of(job.tokenizer, job.data)
        if shape.code > LARGEST:
            message = f"the code has {shape.code:,} values (E); that is no tokenizer"
            raise Faulty([(row.mark, "tokenizer", message)])
        parts = _parts(sections, TRAINED)
        stage = _identity("tokenizer", parts)
        towers = job.tokenizer.encoder, job.tokenizer.decoder
        ours = job.tokenizer.class_ is None
        return Trained(
            job=job,
            parts=parts,
            config=_config(sections, TRAINED),
            identity=stage,
            config_id=identity.config_id([stage]),
            shape=shape,
            parameters=tokenizer_parameters(*towers, shape) if ours else None,
            macs=macs_of(job.tokenizer, shape) if ours else None,
            slug=tokenizer_slug(job.tokenizer, shape),
        )


def _parts(sections: Mapping[str, Section], names: tuple[str, ...]) -> dict[str, str | None]:
    return {name: sections[name].json for name in names}


def _config(sections: Mapping[str, Section], names: tuple[str, ...]) -> dict[str, Any]:
    return {n: sections[n].config for n in sorted(names) if sections[n].json is not None}


def _identity(kind: str, parts: Mapping[str, str | None]) -> str:
    text = identity.object_json(dict(parts))
    return identity.train_stage(kind, KINDS[kind].revision, text)
