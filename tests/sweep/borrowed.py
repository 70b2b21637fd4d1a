"""The example package of docs/bring-your-own.md, written out of the page into a folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "bring-your-own.md"


@dataclass(frozen=True)
class Lab:
    """A folder with `mylab`, installed as pip would leave it, and the page's sweep file."""

    folder: Path

    @property
    def sweep(self) -> Path:
        return self.folder / "mine.yaml"

    def source(self, module: str) -> Path:
        return self.folder / "mylab" / f"{module}.py"

    def edit(self, module: str, old: str, new: str) -> None:
        """Replace what must be there."""
        text = self.source(module).read_text()
        assert old in text
        self.source(module).write_text(text.replace(old, new))

    def run(self, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """`python ARGUMENTS` with the package on the path (`path`: with another)."""
        places = [str(ROOT), str(self.folder) if path is None else path]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, places)),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        return subprocess.run(
            [sys.executable, "-P", *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def cli(self, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """`vitok-sweep ARGUMENTS` there."""
        return self.run("-c", "from sweep.cli.app import main; main()", *arguments, path=path)


def write_lab(folder: Path) -> Lab:
    """Write the page's files, each under the name of its first line, and the package's metadata."""
    for block in re.findall(r"```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL):
        name = re.match(r"# (\S+\.(?:py|toml|yaml))\n", block)
        if name:
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {code}" for name, code in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return Lab(folder)
