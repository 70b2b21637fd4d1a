"""One YAML file as a tree of values that know their line. Safe on any input.

Built on PyYAML's event stream rather than its constructors: no tag is ever acted upon, depth and
size are bounded (also of what aliases expand to), duplicate keys are seen, and every value keeps
the place where it was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sweep.spec.problems import Mark, SpecError, fail
from sweep.spec.scalars import Text, scalar

MOST_BYTES = 1_000_000
MOST_NODES = 200_000  # after aliases are expanded
MOST_DEPTH = 32

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands. `value`: a scalar, a list of nodes, or nodes by key."""

    value: Any
    mark: Mark

    @property
    def is_map(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    def plain(self) -> Any:
        """The value without marks."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return str(self.value) if isinstance(self.value, Text) else self.value


def read(path: Path, place: str) -> Node:
    """The mapping that a file holds; SpecError names the line where it is none."""
    top = parse(_text(path, place), place)
    if not top.is_map:
        kind = "a list" if top.is_list else "a single value"
        raise fail(top.mark, "", f"expected a mapping (key: value lines), got {kind}")
    return top


def _text(path: Path, place: str) -> str:
    whole = Mark(place)
    if path.is_dir():
        raise fail(whole, "", "is a directory; expected a YAML file")
    if path.exists() and not path.is_file():
        raise fail(whole, "", "is not a regular file; expected a YAML file")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise fail(whole, "", f"cannot be read ({error.strerror})") from None
    if len(data) > MOST_BYTES:
        raise fail(whole, "", f"is larger than {MOST_BYTES:,} bytes; that is no sweep file")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise fail(Mark(place, line), "", "is a binary file (it holds NUL bytes); expected YAML")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
        raise fail(Mark(place, line), "", message) from None


def parse(text: str, place: str, numbered: bool = True) -> Node:
    """The one YAML document of a text. `numbered`: false for text without lines, as in --set."""
    try:
        return _Builder(place, numbered).build(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, place, numbered) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if numbered else 0
        # libyaml gives the character's number, the Python reader the character.
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"character #x{code:04x} is not allowed in YAML"
        raise fail(Mark(place, line), "", message) from None
    except yaml.YAMLError as error:
        raise fail(Mark(place), "", f"is not YAML: {error}") from None


def _syntax_error(error: Any, text: str, place: str, numbered: bool) -> SpecError:
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark is not None else 0
    lines = text.splitlines()
    written = lines[line] if line < len(lines) else ""
    message = f"is not YAML: {error.problem or error.context}"
    if "nesting depth" in message:  # newer parsers give up before we see how deep it is
        message = f"is nested deeper than {MOST_DEPTH} levels"
    if "\t" in written:
        message = "a tab cannot indent or separate in YAML; use spaces"
    return fail(Mark(place, line + 1 if numbered else 0), "", message)


class _Builder:
    """Turns events into nodes. Iterative: depth is bounded by a check, not by the stack."""

    def __init__(self, place: str, numbered: bool) -> None:
        self._place = place
        self._numbered = numbered
        self._nodes = 0
        # anchor → its node, how many nodes it expands to, how deep; None while it is being built
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._stack: list[_Open] = []
        self._top: Node | None = None

    def build(self, events: Any) -> Node:
        documents = 0
        end = Mark(self._place, 1 if self._numbered else 0)
        for event in events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    message = "a second YAML document starts here ('---'); a file holds one"
                    raise fail(self._mark(event), "", message)
            elif name in ("ScalarEvent", "AliasEvent"):
                self._leaf(event)
            elif name in ("MappingStartEvent", "SequenceStartEvent"):
                self._open(event, name == "MappingStartEvent")
            elif name in ("MappingEndEvent", "SequenceEndEvent"):
                self._close()
        if self._top is None or self._top.value is None:
            raise fail(end, "", "is empty; expected a mapping (key: value lines)")
        return self._top

    def _mark(self, event: Any) -> Mark:
        return Mark(self._place, event.start_mark.line + 1 if self._numbered else 0)

    def _leaf(self, event: Any) -> None:
        mark = self._mark(event)
        if isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor, mark)
            return
        self._refuse_tag(event, mark)
        self._count(1, mark)
        plain = event.style is None or event.style == ""
        node = Node(scalar(event.value) if plain else Text(event.value), mark)
        if event.anchor:
            self._anchors[event.anchor] = (node, 1, 0)
        self._attach(node, key=event.value, size=1, height=0)

    def _alias(self, anchor: str | None, mark: Mark) -> None:
        if anchor is None or anchor not in self._anchors:
            raise fail(mark, "", f"alias *{anchor} has no anchor &{anchor} above it")
        found = self._anchors[anchor]
        if found is None:
            raise fail(mark, "", f"alias *{anchor} stands inside its own anchor")
        node, size, height = found
        self._count(size, mark)
        self._limit_depth(height, mark)
        key = node.value if isinstance(node.value, str) else None
        self._attach(Node(node.value, mark), key=key, size=size, height=height)

    def _open(self, event: Any, is_map: bool) -> None:
        mark = self._mark(event)
        self._refuse_tag(event, mark)
        self._count(1, mark)
        self._limit_depth(1, mark)
        if self._stack and self._stack[-1].wants_key:
            raise fail(mark, "", "a key must be one word, not a list or a mapping")
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(is_map, mark, event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        node = Node(done.items if done.is_map else list(done.items.values()), done.mark)
        if done.anchor:
            self._anchors[done.anchor] = (node, done.size, done.height)
        self._attach(node, key=None, size=done.size, height=done.height)

    def _attach(self, node: Node, key: str | None, size: int, height: int) -> None:
        if not self._stack:
            self._top = node
            return
        parent = self._stack[-1]
        parent.size += size
        parent.height = max(parent.height, height + 1)
        if not parent.is_map:
            parent.items[len(parent.items)] = node
        elif parent.wants_key:
            if not key:
                raise fail(node.mark, "", "a key must be one word, and not empty")
            if key in parent.items:
                first = parent.items[key].mark
                where = f"first on line {first.line}" if first.line else "given twice"
                raise fail(node.mark, str(key), f"this key is written twice ({where})")
            parent.key, parent.key_mark = key, node.mark
        else:
            assert parent.key is not None
            # A collection starts on the line after its key; people look for the key.
            parent.items[parent.key] = Node(node.value, parent.key_mark or node.mark)
            parent.key = None

    def _count(self, size: int, mark: Mark) -> None:
        self._nodes += size
        if self._nodes > MOST_NODES:
            raise fail(mark, "", f"holds more than {MOST_NODES:,} values once aliases are expanded")

    def _limit_depth(self, height: int, mark: Mark) -> None:
        if len(self._stack) + height > MOST_DEPTH:
            raise fail(mark, "", f"is nested deeper than {MOST_DEPTH} levels")

    def _refuse_tag(self, event: Any, mark: Mark) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise fail(mark, "", f"tag {tag} is not allowed: values are plain text and numbers")


class _Open:
    """A mapping or list that is still being read."""

    __slots__ = ("anchor", "height", "is_map", "items", "key", "key_mark", "mark", "size")

    def __init__(self, is_map: bool, mark: Mark, anchor: str | None) -> None:
        self.is_map = is_map
        self.mark = mark
        self.anchor = anchor
        self.items: dict[Any, Node] = {}
        self.key: str | None = None
        self.key_mark: Mark | None = None
        self.size = 1
        self.height = 1

    @property
    def wants_key(self) -> bool:
        return self.is_map and self.key is None
