"""The codecs of a `baseline` stage: names of the table, or mappings that say what they are.

codecs:
  - jpeg                                        # 8 bits for each value of the point's code
  - {name: webp, bits_per_pixel: 0.5}
  - bicubic-8
  - sd-vae                                      # its folder: weights.sd-vae of the site file
  - {name: ours, kind: torchscript, version: 2}
  - {name: mine, encode: mylab.code:encode, decode: mylab.code:decode}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from sweep.spec.fields import plain_message
from sweep.spec.own import source_of
from sweep.spec.problems import Problems, nearest, shown
from sweep.spec.values import describe, fit
from sweep.spec.yamlfile import Node
from vitok_core.baselines import table
from vitok_core.config import CodecConfig
from vitok_core.plugins import top_of

KEYS = ("name", "kind", "version", "bits_per_value", "bits_per_pixel", "encode", "decode")
OWN_KINDS = (*table.DIFFUSERS, "torchscript")  # that a name of the user's own may have


@dataclass(frozen=True)
class Codec:
    """A codec as the file has it; what its budget is depends on the point."""

    fields: tuple[tuple[str, Any], ...]

    def config(self, values: int) -> CodecConfig:
        """Beside a code of so many values."""
        fields = dict(self.fields)
        if fields["kind"] in ("jpeg", "webp") and "bits_per_pixel" not in fields:
            fields["values"] = values
        return CodecConfig(**fields)


def read_codec(node: Node, place: str, problems: Problems) -> Codec | None:
    """One entry of the list; None where it cannot be read, which is told of."""
    given: Mapping[str, Node] = node.value if node.is_map else {"name": node}
    fields: dict[str, Any] = {}
    for key, entry in given.items():
        try:
            fields[key] = _checked(key, entry.plain())
        except ValueError as error:
            problems.add(entry.mark, f"{place}.{key}" if node.is_map else place, str(error))
    if len(fields) < len(given):
        return None
    try:
        codec = Codec(tuple(_complete(fields).items()))
        codec.config(1)
    except ValidationError as error:
        problems.add(node.mark, place, plain_message(error))
    except ValueError as error:
        problems.add(node.mark, place, str(error))
    else:
        return codec
    return None


def adapter_of(key: str) -> TypeAdapter[Any]:
    """What checks a value of one of KEYS."""
    field = CodecConfig.model_fields[key]
    annotation: Any = Annotated[field.annotation, *field.metadata, key]
    return TypeAdapter(annotation)


def _checked(key: str, value: Any) -> Any:
    """A value as its field has it; ValueError says what was expected."""
    if key not in KEYS:
        raise ValueError(f"unknown key{nearest(str(key), KEYS)}")
    adapter = adapter_of(key)
    schema = adapter.json_schema()
    try:
        return adapter.validate_python(fit(value, schema))
    except ValueError as error:
        what = "a codec's name" if key == "name" else describe(schema)
        hint = str(error) if type(error) is ValueError else ""
        raise ValueError(f"expected {what}, got {shown(value)}{hint}") from None


def _complete(fields: Mapping[str, Any]) -> dict[str, Any]:
    """With what the name, or the functions, say; ValueError where they say nothing."""
    if "name" not in fields:
        raise ValueError("name is missing: expected what reports shall call it")
    name = fields["name"]
    try:
        known = table.named(name)
    except KeyError:
        known = {}
    if known:
        if said := [key for key in ("kind", "encode", "decode") if key in fields]:
            raise ValueError(f"'{name}' says its {said[0]} itself: leave it out, or choose a name")
        return {**fields, **known}
    if "encode" in fields and "decode" in fields and "kind" not in fields:
        tops = {top_of(fields[key]) for key in ("encode", "decode")}
        if len(tops) > 1:
            raise ValueError(f"encode and decode must stand in one package, not {sorted(tops)}")
        (sha256,) = {source_of(fields[key]) for key in ("encode", "decode")}
        return {**fields, "kind": "functions", "sha256": sha256}
    if fields.get("kind") in OWN_KINDS:
        return dict(fields)
    kinds = ", ".join(OWN_KINDS)
    raise ValueError(
        f"unknown codec '{name}'{nearest(name, table.names())}; one of your own says its kind "
        f"({kinds}), or encode and decode"
    )
