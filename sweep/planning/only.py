"""`--only 'p=16,c=16|32'`: keep some points. Comma is and, `|` is or, `a..b` is an interval.

What is said of generators (`cfg=3`, `dit=DiT-L`, any field of their sections) keeps the points that
have such a one, and of their generators and guidance scales those alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sweep.planning.generators import Generator
from sweep.planning.points import Draft
from sweep.spec.fields import (
    ALIASES,
    GENERATION,
    GENERATOR,
    SIZE,
    STAGE2,
    TOWERS,
    Sizes,
    fields,
    tower_name,
)
from sweep.spec.problems import nearest, shown
from sweep.spec.scalars import parse_number, scalar
from vitok_core.errors import UserError
from vitok_core.variants import DIT_SIZES

_Read = Callable[[Draft], Any]

_OF_POINT: dict[str, _Read] = {
    "p": lambda draft: draft.job.tokenizer.patch,
    "q": lambda draft: draft.job.tokenizer.stride,
    "c": lambda draft: draft.job.tokenizer.channels,
    "L": lambda draft: draft.trained.shape.tokens,
    "E": lambda draft: draft.trained.shape.code,
    "size": lambda draft: f"{draft.encoder}-{draft.decoder}",
    "encoder": lambda draft: draft.encoder,
    "decoder": lambda draft: draft.decoder,
    "variant": lambda draft: draft.variant,
    "resolution": lambda draft: draft.job.data.resolution,
    "frames": lambda draft: draft.job.data.frames,
    "seed": lambda draft: draft.seed,
    "id": lambda draft: draft.id,
    "config_id": lambda draft: draft.config_id,
    "slug": lambda draft: draft.slug,
}
_BY_PREFIX = ("id", "config_id")
_SCALES = "cfg"
_MOST_SHOWN = 12


@dataclass(frozen=True)
class _Clause:
    """One `key=value|value` of a filter; `read` is asked of a point, or of its generators."""

    key: str
    values: tuple[Any, ...]
    read: Callable[[Any], Any]
    of_generators: bool

    def narrowed(self, draft: Draft) -> Draft | None:
        """What it keeps of a point; None: nothing."""
        if not self.of_generators:
            return draft if self._takes(self.read(draft)) else None
        kept = [each for one in draft.generators if (each := self._narrowed(one))]
        trained = [each.stage for each in kept]
        stages = (each for each in draft.stages if each.generation is None or each in trained)
        return replace(draft, generators=tuple(kept), stages=tuple(stages)) if kept else None

    def found(self, draft: Draft) -> list[Any]:
        """What a point has there."""
        if not self.of_generators:
            return [self.read(draft)]
        each = map(self.read, draft.generators)
        return [scale for scales in each for scale in scales] if self.key == _SCALES else [*each]

    def _narrowed(self, generator: Generator) -> Generator | None:
        have = self.read(generator)
        if self.key != _SCALES:
            return generator if self._takes(have) else None
        scales = tuple(filter(self._takes, have))
        return replace(generator, asked=replace(generator.asked, cfg=scales)) if scales else None

    def _takes(self, have: Any) -> bool:
        return any(_equal(self.key, have, value) for value in self.values)


def select(made: list[Draft], text: str | None, sizes: Sizes) -> list[Draft]:
    """The points that a filter keeps; UserError when it is wrong or keeps none."""
    if text is None:
        return made
    clauses = [_clause(part, sizes) for part in text.split(",")]
    kept = made
    for clause in clauses:
        before, kept = kept, [each for draft in kept if (each := clause.narrowed(draft))]
        if not kept:
            raise UserError(f"--only {text}: {_nothing(clause, before, made)}")
    return kept


def _nothing(clause: _Clause, before: list[Draft], made: list[Draft]) -> str:
    wanted = " or ".join(_text(value) for value in clause.values)
    rest = " among those left" if len(before) < len(made) else ""
    message = f"no point{rest} has {clause.key} = {wanted}"
    every = {each for draft in before for each in clause.found(draft)}
    have = sorted(every, key=lambda each: (str(type(each)), each))
    if not have:
        return f"{message}: none has a generator"
    if len(have) <= _MOST_SHOWN:
        return f"{message}; {clause.key} is {', '.join(_text(each) for each in have)}"
    return message + nearest(wanted, [_text(each) for each in have])


def _clause(part: str, sizes: Sizes) -> _Clause:
    key, equals, text = part.partition("=")
    key = key.strip()
    if not equals or not key or not text.strip():
        raise UserError(
            f"--only: expected KEY=VALUE, such as p=16 or c=16|32, got '{part.strip()}'"
        )
    values = tuple(_value(key, each.strip()) for each in text.split("|"))
    if key in _OF_POINT:
        return _Clause(key, values, _OF_POINT[key], of_generators=False)
    if key == _SCALES:
        return _Clause(key, values, lambda generator: generator.asked.cfg, of_generators=True)
    path = _path(key)
    if path.partition(".")[0] in GENERATION:
        return _Clause(key, values, _of_generator(path, sizes), of_generators=True)
    of = _OF_POINT[path.partition(".")[2]] if path in TOWERS else _of_draft(path)
    return _Clause(key, values, of, of_generators=False)


def _path(key: str) -> str:
    path = ALIASES.get(key, key)
    if path not in fields() or path == SIZE or path.startswith("resources."):
        short = [*_OF_POINT, _SCALES]
        known = [*short, *(each for each in fields() if not each.startswith("resources."))]
        hint = nearest(key, known) or f"; known: {', '.join(short)}, or a dotted field"
        raise UserError(f"--only: unknown key '{key}'{hint}")
    return path


def _of_draft(path: str) -> _Read:
    section, *names = path.split(".")

    def read(draft: Draft) -> Any:
        if section == "evaluation":
            value = draft.evaluation.model
        elif section not in STAGE2:
            value = getattr(draft.job, section)
        elif draft.finetuned is not None:
            value = getattr(draft.finetuned.job, section)
        else:
            return None  # nothing of stage 2, where a point does not run it
        return _inside(value, names)

    return read


def _of_generator(path: str, sizes: Sizes) -> Callable[[Generator], Any]:
    section, *names = path.split(".")
    attribute = "train" if section == "generator_train" else section

    def read(generator: Generator) -> Any:
        value = _inside(getattr(generator, attribute).model, names)
        return tower_name(value, {**DIT_SIZES, **sizes}) if path == GENERATOR else value

    return read


def _inside(value: Any, names: list[str]) -> Any:
    for name in names:
        value = getattr(value, f"{name}_" if name == "class" else name)
    return value


@dataclass(frozen=True)
class _Interval:
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_text(self.low)}..{_text(self.high)}"


def _value(key: str, text: str) -> Any:
    if key in (*_BY_PREFIX, "slug"):
        return text  # an id may look like a number: 12e456789012
    low, dots, high = text.partition("..")
    if dots:
        ends = parse_number(low), parse_number(high)
        if ends[0] is None or ends[1] is None:
            raise UserError(f"--only: expected an interval such as E=256..4096, got '{text}'")
        return _Interval(ends[0], ends[1])
    return scalar(text)


def _equal(key: str, have: Any, wanted: Any) -> bool:
    if key in _BY_PREFIX:
        return str(have).startswith(wanted)
    if isinstance(wanted, _Interval):
        number = isinstance(have, int | float) and not isinstance(have, bool)
        return number and wanted.low <= have <= wanted.high
    if isinstance(have, bool) != isinstance(wanted, bool):
        return False
    if isinstance(have, tuple):
        return _text(list(have)) == str(wanted) or have == (wanted,)
    if isinstance(have, str):
        return have == str(wanted)
    return bool(have == wanted)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, str | _Interval) else shown(value)
