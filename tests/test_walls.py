"""The walls between the rooms: who may import whom, and what must never meet torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What `sweep` and `analysis` may take from the science: nothing that imports torch.
TORCH_FREE = {
    "vitok_core.baselines.table",
    "vitok_core.config",
    "vitok_core.context",
    "vitok_core.cost",
    "vitok_core.data.sources",
    "vitok_core.diffusion.check",
    "vitok_core.errors",
    "vitok_core.files",
    "vitok_core.judging",
    "vitok_core.kinds",
    "vitok_core.tokenizers",
    "vitok_core.training.schedule",
    "vitok_core.used",
    "vitok_core.variants",
    "vitok_core.plugins",
    "vitok_core.metrics.enough",
    "vitok_core.metrics.networks",
    "vitok_core.metrics.sheet",
}


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def files(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, f"{room} is empty"
    return found


def rooms(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_the_science_knows_no_orchestration() -> None:
    for path in files("vitok_core"):
        assert not rooms(imports(path)) & {"sweep", "analysis"}, path


def test_only_the_command_line_names_the_analysis() -> None:
    for path in files("sweep"):
        if "analysis" in rooms(imports(path)):
            assert path.parent.name == "cli", path


def test_the_analysis_reads_through_the_store_alone() -> None:
    allowed = ("sweep.store", "sweep.layout")
    for path in files("analysis"):
        for name in imports(path):
            if name.startswith("sweep"):
                assert name == "sweep" or name.startswith(allowed), (path, name)


def test_notebooks_know_the_analysis_alone() -> None:
    for path in files("notebooks"):
        assert not rooms(imports(path)) & {"sweep", "vitok_core", "torch"}, path
        assert "analysis" in rooms(imports(path)), path


@pytest.mark.parametrize("room", ["sweep", "analysis"])
def test_planning_and_analysis_take_torch_free_science_only(room: str) -> None:
    for path in files(room):
        for name in imports(path):
            if name.startswith("vitok_core."):
                assert any(name == free or name.startswith(f"{free}.") for free in TORCH_FREE) or (
                    name in {"vitok_core.baselines", "vitok_core.data", "vitok_core.metrics"}
                ), (path, name)
            assert name.partition(".")[0] != "torch", path


@pytest.mark.parametrize("module", sorted(TORCH_FREE))
def test_torch_free_modules_do_not_import_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_planning_is_below_doing() -> None:
    """Pure planning never reaches down to what submits, writes or watches."""
    doing = {"sweep.launch", "sweep.worker", "sweep.watch", "sweep.schedulers", "sweep.store"}
    for path in (*files("sweep/spec"), *files("sweep/planning")):
        for name in imports(path):
            assert not any(name == far or name.startswith(f"{far}.") for far in doing), (path, name)
