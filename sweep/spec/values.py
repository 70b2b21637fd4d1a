"""One value against a JSON Schema: said in words, and converted without surprises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.spec.problems import Mark, nearest_name
from sweep.spec.scalars import LARGEST, parse_number

_WORDS = {"on": True, "yes": True, "off": False, "no": False}
_YAML_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Given:
    """A checked value and where it was written."""

    value: Any
    mark: Mark


def describe(schema: Mapping[str, Any]) -> str:
    """A JSON Schema of one value in words."""
    options = options_of(schema)
    return " or ".join(_describe_one(option) for option in options)


def options_of(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(schema.get("anyOf", [schema]))


def _describe_one(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(shown_choice(choice) for choice in schema["enum"])
    if "const" in schema:
        return shown_choice(schema["const"])
    if schema.get("type") == "array" and "prefixItems" in schema:
        items = schema["prefixItems"]
        each = _describe_one(items[0]).partition(", ")[2]
        return f"a list of {len(items)} numbers" + (f", each {each}" if each else "")
    if schema.get("type") == "array":
        return f"a list, each {describe(schema.get('items', {}))}"
    words = _YAML_TYPES.get(str(schema.get("type")), "a value")
    if "pattern" in schema:  # the one that there is
        words = "one word, without spaces or control characters"
    bounds = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
    }
    said = [text.format(_plain(schema[key])) for key, text in bounds.items() if key in schema]
    return ", ".join([words, " and ".join(said)] if said else [words])


def shown_choice(choice: Any) -> str:
    return "null" if choice is None else str(choice)


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)


def fit(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value in the Python type that the schema asks for, never by a surprising conversion."""
    options = options_of(schema)
    types = {str(option.get("type", "")) for option in options}
    choices = [
        choice
        for option in options
        for choice in option.get("enum", [option["const"]] if "const" in option else [])
    ]
    if value is None:
        if "null" not in types and None not in choices:
            raise ValueError
        return None
    if isinstance(value, bool):
        if "boolean" not in types:
            raise ValueError
        return value
    if isinstance(value, str):
        return _fit_text(value, types, choices)
    if isinstance(value, int | float):
        return _fit_number(value, types)
    if isinstance(value, list | tuple) and "array" in types:
        array = next(option for option in options if option.get("type") == "array")
        items = array.get("prefixItems") or [array.get("items", {})] * len(value)
        if len(items) != len(value):
            raise ValueError
        fitted = tuple(fit(item, each) for item, each in zip(value, items, strict=True))
        if "enum" in array.get("items", {}):  # names, of which each is asked for or not
            for twice in (name for n, name in enumerate(fitted) if name in fitted[:n]):
                raise ValueError(f"; '{twice}' stands twice")
        return fitted
    if isinstance(value, dict) and "object" in types:
        return value
    raise ValueError


def _fit_text(value: str, types: set[str], choices: list[Any]) -> Any:
    if "boolean" in types and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if choices:
        if value not in choices:
            near = nearest_name(value, [str(choice) for choice in choices if choice is not None])
            raise ValueError(f"; did you mean {near}?" if near else "")
        return value
    if "string" in types:
        return str(value)
    if types & {"integer", "number"} and parse_number(value) is not None:
        raise ValueError(" (remove the quotes)")
    raise ValueError


def _fit_number(value: int | float, types: set[str]) -> Any:
    if "integer" in types:
        if isinstance(value, float) and not value.is_integer():
            raise ValueError
        if abs(value) > LARGEST:
            raise ValueError(f" (larger than {LARGEST})")
        return int(value)
    if "number" in types:
        if not math.isfinite(float(value)):
            raise ValueError
        return float(value)
    if "string" in types and isinstance(value, int):
        return str(value)
    raise ValueError
