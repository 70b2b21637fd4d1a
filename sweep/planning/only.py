"""`--only 'p=16,c=16|32'`: keep some points. Comma is and, `|` is or, `a..b` is an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweep.planning.points import Draft
from sweep.spec.fields import ALIASES, GENERATION, SIZE, STAGE2, TOWERS, fields
from sweep.spec.problems import nearest, shown
from sweep.spec.scalars import parse_number, scalar
from vitok_core.errors import UserError

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
_MOST_SHOWN = 12


@dataclass(frozen=True)
class _Clause:
    """One `key=value|value` of a filter."""

    key: str
    read: _Read
    values: tuple[Any, ...]

    def keeps(self, draft: Draft) -> bool:
        have = self.read(draft)
        return any(_equal(self.key, have, value) for value in self.values)


def select(made: list[Draft], text: str | None) -> list[Draft]:
    """The points that a filter keeps; UserError when it is wrong or keeps none."""
    if text is None:
        return made
    clauses = [_clause(part) for part in text.split(",")]
    kept = made
    for clause in clauses:
        before, kept = kept, [draft for draft in kept if clause.keeps(draft)]
        if not kept:
            raise UserError(f"--only {text}: {_nothing(clause, before, made)}")
    return kept


def _nothing(clause: _Clause, before: list[Draft], made: list[Draft]) -> str:
    wanted = " or ".join(_text(value) for value in clause.values)
    rest = " among those left" if len(before) < len(made) else ""
    have = sorted(
        {clause.read(draft) for draft in before}, key=lambda each: (str(type(each)), each)
    )
    message = f"no point{rest} has {clause.key} = {wanted}"
    if len(have) <= _MOST_SHOWN:
        return f"{message}; {clause.key} is {', '.join(_text(each) for each in have)}"
    return message + nearest(wanted, [_text(each) for each in have])


def _clause(part: str) -> _Clause:
    key, equals, text = part.partition("=")
    key = key.strip()
    if not equals or not key or not text.strip():
        raise UserError(
            f"--only: expected KEY=VALUE, such as p=16 or c=16|32, got '{part.strip()}'"
        )
    values = tuple(_value(key, each.strip()) for each in text.split("|"))
    return _Clause(key, _reader(key), values)


def _reader(key: str) -> _Read:
    if key in _OF_POINT:
        return _OF_POINT[key]
    path = ALIASES.get(key, key)
    if path not in fields() or path == SIZE or path.startswith("resources."):
        known = [*_OF_POINT, *(each for each in fields() if not each.startswith("resources."))]
        hint = nearest(key, known) or f"; known: {', '.join(_OF_POINT)}, or a dotted field"
        raise UserError(f"--only: unknown key '{key}'{hint}")
    if path in TOWERS:
        return _OF_POINT[path.partition(".")[2]]
    section, *names = path.split(".")

    def read(draft: Draft) -> Any:
        if section == "evaluation":
            value = draft.evaluation.model
        elif section in GENERATION:
            value = draft.of_generators(section)
            if value is None:
                return None
        elif section not in STAGE2:
            value = getattr(draft.job, section)
        elif draft.finetuned is not None:
            value = getattr(draft.finetuned.job, section)
        else:
            return None  # nothing of stage 2, where a point does not run it
        for name in names:
            value = getattr(value, f"{name}_" if name == "class" else name)
        return value

    return read


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
    return str(value) if isinstance(value, str | _Interval) else shown(value)
