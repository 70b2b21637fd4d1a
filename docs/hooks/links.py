"""Links that work on GitHub work in the site too, those to files outside docs/ among them.

README.md is the site's front page. Any other file of the repository that a page links to becomes a
page below `repository/`: Markdown as it is, notebooks and source files rendered.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File
from notebook import as_markdown

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parent.parent.parent
HOME = "index.md"
BESIDE = "repository/"  # where files outside docs/ stand in the site
_SHOWN = {".yaml": "yaml", ".py": "python"}  # as a page that quotes them
_TARGET = re.compile(r"(?<=\]\()[^)#\s]+")  # of [text](target#anchor)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the front page, and what pages link to, and what these link to in turn."""
    files.append(_file(REPOSITORY / "README.md", config))
    waiting = list(files.documentation_pages())
    while waiting:
        page = waiting.pop()
        for path in _linked(page.content_string, page.src_uri):
            if path.is_file() and uri_of(path) not in files.src_uris:
                made = _file(path, config)
                files.append(made)
                if made.is_documentation_page():
                    waiting.append(made)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between places in the repository into links between pages of the site."""
    here = page.file.src_uri

    def turned(match: re.Match[str]) -> str:
        path = _resolved(match[0], here)
        if path is None or not path.is_file():
            return match[0]
        return posixpath.relpath(uri_of(path), posixpath.dirname(here) or ".")

    return _TARGET.sub(turned, markdown)


def place_of(uri: str) -> Path:
    """The file of the repository that a page of the site shows."""
    if uri == HOME:
        return REPOSITORY / "README.md"
    if not uri.startswith(BESIDE):
        return REPOSITORY / "docs" / uri
    place = REPOSITORY / uri.removeprefix(BESIDE)
    return place if place.exists() else place.with_suffix("")  # rendered: NAME.yaml.md


def uri_of(path: Path) -> str:
    """Where a file of the repository stands in the site; the inverse of `place_of`."""
    place = path.relative_to(REPOSITORY)
    if place == Path("README.md"):
        return HOME
    if place.parts[0] == "docs":
        return place.relative_to("docs").as_posix()
    rendered = path.suffix in (*_SHOWN, ".ipynb")
    return f"{BESIDE}{place.as_posix()}{'.md' if rendered else ''}"


def _linked(markdown: str, uri: str) -> list[Path]:
    found = (_resolved(target, uri) for target in _TARGET.findall(markdown))
    return [path for path in found if path is not None]


def _resolved(target: str, uri: str) -> Path | None:
    """The place in the repository that a link names, or None: it leads into the Internet."""
    if ":" in target or target.startswith("/"):
        return None
    path = (place_of(uri).parent / target).resolve()
    return path if path.is_relative_to(REPOSITORY) else None


def _file(path: Path, config: MkDocsConfig) -> File:
    uri = uri_of(path)
    if path.suffix == ".ipynb":
        return File.generated(config, uri, content=as_markdown(path))
    if path.suffix in _SHOWN:
        title, fence = path.relative_to(REPOSITORY), "~" * 8
        quoted = f"# {title}\n\n{fence}{_SHOWN[path.suffix]}\n{path.read_text('utf-8')}{fence}\n"
        return File.generated(config, uri, content=quoted)
    return File.generated(config, uri, abs_src_path=str(path))
