"""docs/analysis.md does what it says: its names exist, and its Python runs as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from synthetic import quickstart, write_root

REPO = Path(__file__).parent.parent.parent
PAGES = [REPO / "docs" / name for name in ("analysis.md", "claims.md")]
# Each piece of text meets the package as a new interpreter does: none of its modules is there.
RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
results = __import__("analysis").load_published()
for what in json.load(sys.stdin):
    for name in [name for name in sys.modules if name.partition(".")[0] == "analysis"]:
        del sys.modules[name]
    try:
        exec(what, {"results": results})
    except Exception as error:
        sys.exit(f"{what}\\n{type(error).__name__}: {error}")
"""


def written() -> list[str]:
    """Every `analysis.module.name` of the pages, and every piece of Python."""
    texts = [path.read_text("utf-8") for path in PAGES]
    names = {name for text in texts for name in re.findall(r"`(analysis(?:\.[a-z_]+){2,})\(", text)}
    pieces = [
        piece for text in texts for piece in re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    ]
    return [*(f"import analysis\ncallable({name}) or 1 / 0" for name in sorted(names)), *pieces]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("docs")
    plain = quickstart()  # whose towers the sweep calls T1 and T2
    named = plain.points.with_columns(encoder=pl.lit("T1"), decoder=pl.lit("T2"))
    write_root(made / "results", replace(plain, points=named))
    return made


def test_all_that_is_written_runs(folder: Path) -> None:
    pieces = written()
    assert len(pieces) >= 5 + 5
    done = subprocess.run(
        [sys.executable, "-c", RUN, REPO], input=json.dumps(pieces), cwd=folder, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
