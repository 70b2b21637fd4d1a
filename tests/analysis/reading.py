"""What a written page says: its tags, its text by section, its data."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Reader(HTMLParser):
    """A page's tags, its text by section, and the bodies of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, list[str]] = {}
        self.raw: dict[str, str] = {}
        self._at, self._in = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append((tag, told))
        if tag == "section":
            self._at = str(told["id"])
        self._in = {"style": "style", "script": str(told.get("type"))}.get(tag, "")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in:
            self.raw[self._in] = self.raw.get(self._in, "") + data
        elif data.strip():
            self.sections.setdefault(self._at, []).append(data.strip())

    def said(self, section: str) -> str:
        return " ".join(self.sections[section])

    @property
    def data(self) -> Any:
        return json.loads(self.raw["application/json"])


def read(path: Path) -> Reader:
    return Reader(path.read_text("utf-8"))
