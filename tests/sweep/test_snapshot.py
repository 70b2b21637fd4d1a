"""The frozen copy: whole or absent, named by its content, deaf to later edits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from stubbed import Bench, copy_packages, wait_until

from sweep.layout import Root
from sweep.schedulers.local import LocalScheduler

FREEZE = (
    "from sweep.layout import Root; from sweep.snapshot import freeze; from pathlib import Path\n"
)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Packages that a test may edit."""
    return copy_packages(tmp_path / "my packages")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "results ü")


def start(packages: Path, root: Root, code: str = "") -> subprocess.Popen[str]:
    program = f"{FREEZE}{code}print(freeze(Root(Path({str(root.path)!r}))))"
    return subprocess.Popen([sys.executable, "-c", program], cwd=packages, stdout=subprocess.PIPE,
                            text=True, env={**os.environ, "PYTHONPATH": str(packages)})  # fmt: skip


def freeze(packages: Path, root: Root) -> Path:
    process = start(packages, root)
    return Path(process.communicate(timeout=60)[0].strip())


def test_one_copy_for_one_content(packages: Path, root: Root) -> None:
    first = freeze(packages, root)
    assert first.parent == root.code
    assert freeze(packages, root) == first
    jobs = packages / "vitok_core" / "jobs.py"
    assert (first / "vitok_core" / "jobs.py").read_bytes() == jobs.read_bytes()
    assert json.loads((first / "origin.json").read_text()) == {"commit": None, "diff": None}
    before = jobs.read_bytes()
    jobs.write_bytes(before + b"# edited\n")
    second = freeze(packages, root)
    assert second != first
    assert (first / "vitok_core" / "jobs.py").read_bytes() == before
    jobs.write_bytes(before)
    assert freeze(packages, root) == first
    assert sorted(root.code.iterdir()) == sorted([first, second])


def test_the_copy_knows_itself_by_the_same_hash(packages: Path, root: Root) -> None:
    copy = freeze(packages, root)
    code = "from sweep.snapshot import code_identity; print(code_identity())"
    out = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(copy)}, cwd=copy,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert out.strip() == copy.name


def test_many_at_once(packages: Path, root: Root) -> None:
    running = [start(packages, root) for _ in range(4)]
    copies = {process.communicate(timeout=60)[0].strip() for process in running}
    assert len(copies) == 1
    assert [str(path) for path in root.code.iterdir()] == list(copies)


def test_an_edit_in_the_middle_of_the_copy_is_named_by_what_was_copied(
    packages: Path, root: Root
) -> None:
    """The editor saves jobs.py when the first file has been copied."""
    edit = """
import shutil
copy = shutil.copy2
def saving(source, place):
    Path('vitok_core/jobs.py').write_text('edited = True')
    return copy(source, place)
shutil.copy2 = saving
"""
    mixed = Path(start(packages, root, edit).communicate(timeout=60)[0].strip())
    assert (mixed / "vitok_core" / "jobs.py").read_text() == "edited = True"
    assert freeze(packages, root) == mixed


def test_killed_in_the_middle(packages: Path, root: Root) -> None:
    slow = "import shutil, time; copy = shutil.copy2\n"
    slow += "shutil.copy2 = lambda *a: (time.sleep(0.05), copy(*a))\n"
    process = start(packages, root, slow)
    wait_until(lambda: root.code.exists() and any(root.code.glob(".copy-*/sweep/*.py")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    copy = freeze(packages, root)
    original = {p.relative_to(packages) for p in packages.rglob("*.py")}
    assert {p.relative_to(copy) for p in copy.rglob("*.py")} == original
    assert [path.name for path in root.code.iterdir() if not path.name.startswith(".")] == [
        copy.name
    ]


def test_the_commit_and_what_differed_from_it(packages: Path, root: Root) -> None:
    def git(*arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *names, *arguments], cwd=packages, check=True, text=True,
                              capture_output=True).stdout.strip()  # fmt: skip

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    (packages / "secret.txt").write_text("not of the packages")
    (packages / "vitok_core" / "jobs.py").write_text("edited = True\n")
    origin = json.loads((freeze(packages, root) / "origin.json").read_text())
    assert origin["commit"] == git("rev-parse", "HEAD")
    assert "+edited = True" in origin["diff"]
    assert "secret" not in origin["diff"]


def test_editing_changes_nothing_for_queued_jobs(
    bench: Bench, packages: Path, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the command is typed in the folder that holds the packages."""
    copy = freeze(packages, root)
    monkeypatch.chdir(packages)
    bench.behave(first={"steps": 20, "pause": 0.05})
    first, second = bench.job("first"), bench.job("second")
    scheduler = LocalScheduler(bench.root, code=copy)
    scheduler.submit([bench.submission(first), bench.submission(second, after=(first,))])
    wait_until(lambda: bench.trace("began"))
    for path in packages.rglob("*.py"):
        path.write_text("raise SystemError('edited')")
    bench.wait_idle()
    assert bench.order() == ["first", "second"]
    assert {record["code"] for record in bench.trace()} == {str(copy.resolve())}
