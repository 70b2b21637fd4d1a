"""Fields of the configuration in the reference: pydantic's descriptions serve as docstrings."""

from __future__ import annotations

import ast
from typing import Any

import griffe


class Fields(griffe.Extension):
    """`name: type = Field(…, description="…")` is documented by its description and default."""

    def on_attribute_instance(
        self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **_: Any
    ) -> None:
        """Give the attribute a docstring, where it has none and is such a field."""
        if not isinstance(node, ast.AnnAssign) or attr.docstring is not None:
            return
        said = _described(node.value)
        if said:
            attr.docstring = griffe.Docstring(said, lineno=node.lineno, parent=attr)


def _described(value: ast.expr | None) -> str:
    """Description and default of a call to Field; empty: it is none, or says nothing."""
    if not isinstance(value, ast.Call) or ast.unparse(value.func) != "Field":
        return ""
    words = {word.arg: word.value for word in value.keywords}
    description = words.get("description")
    if not isinstance(description, ast.Constant):
        return ""
    said = str(description.value)
    default = f" Default: `{ast.unparse(value.args[0])}`." if value.args else ""
    return f"{said[:1].upper()}{said[1:]}.{default}"
