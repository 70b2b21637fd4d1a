"""The generators of a point: its `generate` stages with their sections, checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sweep.planning.grid import Row
from sweep.planning.sections import Fault, Faulty, Section, Sections
from sweep.spec.generating import Generation
from sweep.spec.stages import Stage, generations
from vitok_core.config import GeneratorConfig
from vitok_core.data.sources import data_set
from vitok_core.diffusion.check import check_sampling
from vitok_core.errors import UserError


@dataclass(frozen=True)
class Generator:
    """One `generate` stage of a point, before its seed is set."""

    stage: Stage
    asked: Generation
    generator: Section
    train: Section
    sampling: Section
    data: str  # what it learns from
    reference: str

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells the generators of two points on one tokenizer apart."""
        sections = (self.generator, self.train, self.sampling)
        return (*(each.json for each in sections), self.data, self.reference, self.asked.cfg)


def generators(
    sections: Sections, row: Row, stages: tuple[Stage, ...], data: str
) -> tuple[Generator, ...]:
    """The generators of a row; Faulty says what is wrong with them.

    Args:
        data: what the tokenizer learns from.
    """
    found: list[Generator] = []
    faults: list[Fault] = []
    for stage in generations(stages):
        asked = stage.generation
        assert asked is not None  # a `generate` has one
        made = sections.of_generator(row, stage)
        wrong = [fault for each in made.values() if isinstance(each, list) for fault in each]
        if not wrong:
            parts = {name: each for name, each in made.items() if isinstance(each, Section)}
            learned = asked.data or data
            reference = asked.reference or learned
            named = (parts["generator"], parts["generator_train"], parts["sampling"])
            generator = Generator(stage, asked, *named, learned, reference)
            wrong = list(_faults(generator))
            found.append(generator)
        faults += wrong
    if faults:
        raise Faulty(faults)
    return tuple(found)


def _faults(generator: Generator) -> Iterator[Fault]:
    mark, place = generator.stage.mark, "stages.generate"
    config: GeneratorConfig = generator.generator.model
    for scale in generator.asked.cfg:
        try:
            check_sampling(config, generator.sampling.model, scale)
        except UserError as error:
            yield mark, place, str(error)
    if config.classes is None and not data_set(generator.data).has_classes:
        yield (
            mark,
            f"{place}.data",
            f"{generator.data} has no classes to learn; set generator.classes=1 for a generator "
            "without, or name data with classes",
        )
    guided = [scale for scale in generator.asked.cfg if scale != 1]
    if config.classes == 1 and guided:
        yield (
            mark,
            f"{place}.cfg",
            f"{guided[0]:g}: guidance needs classes, and generator.classes is 1; set cfg: 1",
        )
