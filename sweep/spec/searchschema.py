"""The JSON Schema of a sweep file's `search` section."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweep.search.model import COSTS, MOST_TRIALS, RULES, SAMPLERS
from sweep.spec.fields import SIZE, TOWERS, fields
from sweep.spec.objectives import ENDS
from sweep.spec.sweeping import LARGEST_SEED

Schema = dict[str, Any]

_METRIC: Schema = {"type": "string", "minLength": 1}
_ONE_END: list[Schema] = [{"required": [end]} for end in ENDS]


def search_schema(axis: Callable[[str], Schema], number: Schema) -> Schema:
    """The section.

    Args:
        axis: the schema of a field's list of values.
        number: of one number, with its shorthands.
    """
    swept = [path for path in fields() if not path.startswith("resources.")]
    interval = {
        **_closed({"low": number, "high": number, "log": _flag()}), "required": ["low", "high"]
    }  # fmt: skip
    space = {
        path: axis(path) if path in (SIZE, *TOWERS) else {"anyOf": [axis(path), interval]}
        for path in swept
    }
    ends = dict.fromkeys(ENDS, _METRIC)
    objective = {
        **_closed({**ends, "data": {"type": "string"}, "cfg": number, "stage": {"enum": [1, 2]}}),
        "oneOf": _ONE_END,
    }
    bound = {"type": "string", "pattern": rf"^\s*({'|'.join(COSTS)})\s*(<=|>=)\s*\S+\s*$"}
    pruner = {
        **_closed({**ends, "rule": {"enum": list(RULES)}, "after": _whole(0)}), "oneOf": _ONE_END
    }  # fmt: skip
    section = {
        "space": {**_closed(space, "what to try, by field"), "minProperties": 1},
        "objectives": {
            **_listed(objective), "description": "what to make small or large: results, costs"
        },
        "constraints": {
            "anyOf": [bound, _listed(bound)], "description": "what lies outside is never run"
        },
        "sampler": {"enum": list(SAMPLERS), "default": "tpe"},
        "trials": {**_whole(1, MOST_TRIALS), "description": "points in all"},
        "parallel": {**_whole(1), "description": "points at once", "default": 1},
        "pruner": {
            "anyOf": [pruner, {"type": "null"}], "description": "when to stop a trial early"
        },
        "seed": {**_whole(0, LARGEST_SEED), "description": "of the sampler", "default": 0},
    }  # fmt: skip
    return _closed(section, "points that a sampler chooses, one after the other")


def _closed(properties: Mapping[str, Schema], description: str = "") -> Schema:
    schema: Schema = {
        "type": "object", "properties": dict(properties), "additionalProperties": False
    }  # fmt: skip
    return {**schema, "description": description} if description else schema


def _listed(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def _whole(least: int, most: int | None = None) -> Schema:
    bounds = {"minimum": least, **({} if most is None else {"maximum": most})}
    return {"type": "integer", **bounds}


def _flag() -> Schema:
    return {"anyOf": [{"type": "boolean"}, {"enum": ["on", "off", "yes", "no"]}]}
