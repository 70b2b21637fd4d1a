"""The JSON Schema of a sweep file, for editors (draft 2020-12). Made from the table of fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.spec.codecs import KEYS, OWN_KINDS, adapter_of
from sweep.spec.fields import GENERATOR, RESOURCE_KINDS, SECTIONS, SIZE, TOWERS, fields
from sweep.spec.own import CLASS, LOSSES, METRICS
from sweep.spec.scalars import LARGEST
from sweep.spec.searchschema import search_schema
from sweep.spec.stages import NUMBERS, ON_DATA, TRAINED
from sweep.spec.sweeping import LARGEST_SEED
from vitok_core import plugins
from vitok_core.baselines import table
from vitok_core.config import CodecConfig
from vitok_core.data.sources import data_set_names
from vitok_core.variants import DIT_SIZES, SIZES, Tower

Schema = dict[str, Any]

_NUMBER = r"^[-+]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+|[kMG])?$"
_RANGE: Schema = {
    "type": "string",
    "pattern": r"^\S+\.\.\S+(\s+x\s*\S+)?$",
    "description": "a range: 1..5, or 4..64 x2",
}
_OF_RECONSTRUCT = {
    "lengths": "code tokens kept, of a masked variant; without it the whole code",
    "steps": "milestones of the training before it that are scored besides its final weights",
}
_WEIGHT: Schema = {"type": ["number", "null"]}
_NONE: Schema = {"type": ["array", "null"], "maxItems": 0}
_NAME = "[A-Za-z][A-Za-z0-9]*"


def sweep_schema() -> Schema:
    """The whole file. Nothing is required: a base may give it."""
    values = {path: _ref(path) for path in fields()}
    swept = {path: _axis(path) for path in fields()}
    point = {**values, "stages": _ref("stages"), "seeds": _ref("seeds")}
    matched = {path: _one_or_more(_ref(path)) for path in fields()}
    seeds = {"seed": _one_or_more({"type": "integer"}), "seeds": _ref("seeds")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vitok-sweep: a sweep file",
        **_object(
            {
                "extends": _one_or_more({"type": "string"}, "a base file or several; later wins"),
                "sizes": {
                    "type": "object",
                    "description": "sizes of towers, by names of your own",
                    "propertyNames": {"pattern": f"^{_NAME}$", "not": {"enum": list(SIZES)}},
                    "additionalProperties": _ref("tower"),
                },
                **{section: _section(section) for section in SECTIONS},
                "axes": _object(swept, "every combination of these values is a point", least=1),
                "zip": _object(swept, "lists of equal length that move together", least=1),
                "include": _list(_object(point, least=1), "points more, by value"),
                "exclude": _list(_object({**matched, **seeds}, least=1), "points less, by value"),
                "seeds": _ref("seeds"),
                "search": search_schema(_axis, _number()),
                "stages": _ref("stages"),
                "resources": _object(
                    {kind: _resources(kind) for kind in RESOURCE_KINDS},
                    "what jobs are given, by kind; not part of a job's identity",
                ),
            }
        ),
        "$defs": {
            **{path: _value(path) for path in fields()},
            "tower": _tower(),
            "seeds": _seeds(),
            "stages": _stages(),
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Mapping[str, Schema], description: str = "", least: int = 0) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    if description:
        schema["description"] = description
    if least:
        schema["minProperties"] = least
    return schema


def _list(items: Schema, description: str = "") -> Schema:
    schema: Schema = {"type": "array", "items": items, "minItems": 1}
    return {**schema, "description": description} if description else schema


def _one_or_more(schema: Schema, description: str = "") -> Schema:
    either: Schema = {"anyOf": [schema, _list(schema), _RANGE]}
    return {**either, "description": description} if description else either


def _section(section: str) -> Schema:
    inside = [path for path in fields() if path.startswith(f"{section}.") and path.count(".") == 1]
    doc = (SECTIONS[section].__doc__ or "").partition("\n")[0]
    return _object({path.partition(".")[2]: _ref(path) for path in inside}, doc)


def _resources(kind: str) -> Schema:
    prefix = f"resources.{kind}."
    inside = [path for path in fields() if path.startswith(prefix)]
    return _object({path.removeprefix(prefix): _ref(path) for path in inside})


def _axis(path: str) -> Schema:
    listed = _list({"anyOf": [_ref(path), _RANGE]})
    # The list itself carries the description, so that editors show it beside the key.
    listed["description"] = fields()[path].schema.get("description", "")
    return {"anyOf": [listed, _RANGE]}


def _value(path: str) -> Schema:
    """One field's value, with the shorthands that the file allows."""
    each = fields()[path]
    schema = _with_shorthands(each.schema)
    if path == SIZE:
        schema = {"type": ["string", "null"], "pattern": f"^{_NAME}-{_NAME}$", "examples": ["S-B"]}
    elif path in TOWERS:
        named = {"type": "string", "pattern": f"^{_NAME}$", "examples": list(SIZES)}
        schema = {"anyOf": [named, _ref("tower"), {"type": "null"}]}
    elif path == GENERATOR:
        schema = _generator_size()
    elif path == "data.name":
        schema = {"enum": list(data_set_names())}
    elif path == CLASS:
        schema = {"type": ["string", "null"], "pattern": r"^[\w.]+:\w+$"}
    elif path == LOSSES:
        weights = _object(dict.fromkeys(plugins.known("loss"), _WEIGHT))
        schema = {"anyOf": [weights, _NONE]}
    elif path == METRICS:
        names = list(plugins.known("metric"))
        schema = {"anyOf": [_list({"enum": names}), _NONE] if names else [_NONE]}
    elif path == "data.version":
        schema = {"type": ["string", "integer"]}
    description = each.schema.get("description")
    if description:
        schema["description"] = description
    if not each.required and path != SIZE:
        default = each.default
        schema["default"] = list(default) if isinstance(default, tuple) else default
    return schema


def _generator_size() -> Schema:
    named = {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9-]*$", "examples": list(DIT_SIZES)}
    return {"anyOf": [named, _ref("tower")]}


def _with_shorthands(schema: Mapping[str, Any]) -> Schema:
    kept = {key: value for key, value in schema.items() if key not in ("title", "default")}
    if "anyOf" in kept:
        options: list[Schema] = []
        for option in kept.pop("anyOf"):
            wider = _with_shorthands(option)
            options += wider.pop("anyOf", [wider])
        return {**kept, "anyOf": options}
    kind = kept.get("type")
    if kind == "boolean":
        return {"anyOf": [kept, {"enum": ["on", "off", "yes", "no"]}]}
    if kind in ("integer", "number"):
        if kind == "integer":
            kept.setdefault("maximum", LARGEST)
        return {"anyOf": [kept, {"type": "string", "pattern": _NUMBER}]}
    if kind == "array":
        for key in ("items", "prefixItems"):
            if isinstance(kept.get(key), list):
                kept[key] = [_with_shorthands(item) for item in kept[key]]
            elif isinstance(kept.get(key), dict):
                kept[key] = _with_shorthands(kept[key])
    return kept


def _tower() -> Schema:
    inside = {name: _ref(f"tokenizer.encoder.{name}") for name in Tower.model_fields}
    return {**_object(inside, "one transformer tower"), "required": list(inside)}


def _seeds() -> Schema:
    seed = {"type": "integer", "minimum": 0, "maximum": LARGEST_SEED}
    listed = {**_list({"anyOf": [seed, _RANGE]}), "uniqueItems": True}
    return {"anyOf": [listed, _RANGE], "description": "every point runs with each of them"}


def _stages() -> Schema:
    data_set: Schema = {"enum": list(data_set_names())}
    data: Schema = {"anyOf": [data_set, _list(data_set)]}
    number = _number(1)
    listed: Schema = {"anyOf": [_list({"anyOf": [*number["anyOf"], _RANGE]}), _RANGE]}
    described = {name: {**listed, "description": _OF_RECONSTRUCT[name]} for name in NUMBERS}
    long = {**_object({"data": data, **described}), "required": ["data"]}
    train = _object({"train": {"enum": list(TRAINED)}})
    on_data = [
        {**_object({name: {"anyOf": [*data["anyOf"], long]} if name == "reconstruct" else data}),
         "required": [name]}
        for name in ON_DATA
    ]  # fmt: skip
    codecs: Schema = {"anyOf": [_codec(), _list(_codec())]}
    baseline = {**_object({"codecs": codecs, "data": data}), "required": ["codecs", "data"]}
    on_data.append({**_object({"baseline": baseline}), "required": ["baseline"]})
    stages = [{**train, "required": ["train"]}, *on_data, _generation(data_set)]
    return _list({"anyOf": stages}, "run in this order")


def _number(least: int | None = None) -> Schema:
    """A number, as people write it; a whole one of at least `least`."""
    bounds = {"type": "integer", "minimum": least, "maximum": LARGEST}
    kept: Schema = {"type": "number"} if least is None else bounds
    return {"anyOf": [kept, {"type": "string", "pattern": _NUMBER}]}


def _codec() -> Schema:
    """A name of the table, or a mapping: of one of them with its options, or of one's own."""
    fields = {name: _of_codec(name) for name in KEYS}
    fields["kind"] = {"enum": list(OWN_KINDS)}
    named: Schema = {"enum": table.names()}
    bicubic: Schema = {"type": "string", "pattern": r"^bicubic-[0-9]+$"}
    return {"anyOf": [named, bicubic, {**_object(fields), "required": ["name"]}]}


def _of_codec(name: str) -> Schema:
    schema: Schema = adapter_of(name).json_schema()
    if name == "version":
        schema = {"type": ["string", "integer"]}
    description = CodecConfig.model_fields[name].description or ""
    return {**_with_shorthands(schema), "description": description}


def _generation(data_set: Schema) -> Schema:
    scale: Schema = {
        "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _NUMBER}]
    }
    scales: Schema = {"anyOf": [scale, _list({"anyOf": [scale, _RANGE]}), _RANGE]}
    entry = _object(
        {
            "model": {**_generator_size(), "description": "the generator's size"},
            "cfg": {**scales, "description": "guidance scales, a job each; 1: none"},
            "data": {**data_set, "description": "what it learns from; default: the tokenizer's"},
            "reference": {
                **data_set,
                "description": "what samples are compared with; default: the same",
            },
        }
    )
    return {**_object({"generate": {**entry, "required": ["cfg"]}}), "required": ["generate"]}
