"""The reference of the command line, made from the commands themselves at every build."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from sweep.cli.app import app, register

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

URI = "reference/commands.md"
NAME = "vitok-sweep"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, URI, content=reference()))
    return files


def reference() -> str:
    """Markdown: a heading for each command, its help, usage, arguments and options."""
    register()
    group = typer.main.get_group(app)
    _say_in_full(group)
    context = typer.Context(group, info_name=NAME, help_option_names=["-h", "--help"])
    text = get_docs_for_click(obj=group, ctx=context, name=NAME, title="Commands")
    # Examples are shell lines, of which Markdown would eat the quotes, stars and underscores.
    return re.sub(r"(?m)^Examples?: (vitok-sweep .*)$", r"```\n\1\n```", text)


def _say_in_full(group: TyperGroup) -> None:
    """Lists of commands have their whole first paragraph: without a short help it is cut off."""
    for command in group.commands.values():
        command.short_help = (command.help or "").partition("\n\n")[0]
        if isinstance(command, TyperGroup):
            _say_in_full(command)
