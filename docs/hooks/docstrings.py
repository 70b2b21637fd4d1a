"""What the reference reads out of our docstrings beyond what griffe does by itself."""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

# A line `first, second: text` of a section, with its indented continuation.
_SHARED = re.compile(r"(?m)^( +)(\w+), (\w+(?:, \w+)*): (.*(?:\n\1 +.*)*)")


class Docstrings(griffe.Extension):
    """Pydantic's descriptions are docstrings; names that share a description have it each."""

    def on_instance(
        self, *, node: ast.AST | griffe.ObjectNode, obj: griffe.Object, **_: Any
    ) -> None:
        """Complete the object's docstring before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = _told_apart(obj.docstring.value)
        elif isinstance(node, ast.AnnAssign) and (said := _described(node.value)):
            obj.docstring = griffe.Docstring(said, lineno=node.lineno, parent=obj)


def _told_apart(text: str) -> str:
    """Each of `first, second: text` on a line of its own, so that its name is checked."""
    while (apart := _SHARED.sub(r"\1\2: \4\n\1\3: \4", text)) != text:
        text = apart
    return text


def _described(value: ast.expr | None) -> str:
    """Description and default of a call to Field; empty: it is none, or says nothing."""
    if not isinstance(value, ast.Call) or ast.unparse(value.func) != "Field":
        return ""
    description = {word.arg: word.value for word in value.keywords}.get("description")
    if not isinstance(description, ast.Constant) or not isinstance(description.value, str):
        return ""
    default = f". Default: `{ast.unparse(value.args[0])}`" if value.args else ""
    return f"{description.value}{default}."
