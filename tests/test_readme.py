"""What the README and docs name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweep.planning.plan import plan_file

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_tour_names_a_job_of_the_quickstart() -> None:
    named = set(re.findall(r"\btokenizer-[\w-]+", (ROOT / "README.md").read_text()))
    assert named
    assert named <= {job.slug for job in plan_file("quickstart").jobs}
