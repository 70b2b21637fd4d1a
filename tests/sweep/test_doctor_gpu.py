"""`doctor --gpu`: its checks on the CPU, apart from each other, and what its report says."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from sweep.cli.app import app, register
from sweep.doctor import computing
from sweep.doctor.computing import CHECKS, Checked, compute, isolated
from sweep.doctor.finding import State, ok, problem
from sweep.doctor.report import write_report
from vitok_core.health.__main__ import CHECKS as OURS


def nothing(line: str) -> None:
    """Whoever wants to know what is checked."""


def test_both_sides_have_the_same_checks() -> None:
    assert list(CHECKS) == list(OURS)


def test_no_gpu_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    if not app.registered_commands:
        register()
    report = tmp_path / "report.json"
    place = ("--results", str(tmp_path / "results"), "--report", str(report))
    done = CliRunner().invoke(app, ["doctor", "--gpu", *place])
    assert done.exit_code == 1
    assert "no GPU here" in done.stdout
    assert [each["check"] for each in json.loads(report.read_text())["checks"]] == ["devices"]


def test_one_check_on_the_cpu() -> None:
    (products,) = compute("cpu", nothing, ["products"])
    assert products.finding.state is State.OK
    assert set(products.values["flops"]) == {"bf16", "fp32"}


@pytest.mark.longest
def test_all_checks_on_the_cpu() -> None:
    found = compute("cpu", nothing)
    assert [each.finding.check for each in found] == list(CHECKS)
    assert [each.finding for each in found if each.finding.state is not State.OK] == []
    by_check = {each.finding.check: each for each in found}
    (cpu,) = by_check["devices"].values["devices"]
    assert cpu["memory_gb"] == round(psutil.virtual_memory().total / 1e9)
    assert by_check["all-reduce"].values["processes"] == 2
    assert "the very weights" in by_check["resume"].finding.found


def test_a_crash_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes that end in their own ways; the other checks go on."""
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert isolated([sys.executable, "-c", crash], 60) == (None, "killed by SIGSEGV")
    fault = isolated([sys.executable, "-c", "raise RuntimeError('CUDA error: ECC')"], 60)
    assert fault == (None, "RuntimeError: CUDA error: ECC")

    right = {"right": True, "found": "good", "flops": {}, "values": {}}

    def some(command: list[str], seconds: float) -> tuple[str | None, str]:
        return (None, "killed by SIGSEGV") if "block" in command else (f"\n{json.dumps(right)}", "")

    monkeypatch.setattr(computing, "isolated", some)
    states = {each.finding.check: each.finding.state for each in compute("cuda", nothing)}
    assert states.pop("block") is State.PROBLEM
    assert set(states.values()) == {State.OK}


def test_a_hang_ends_with_all_its_processes(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = "import pathlib, subprocess, sys, time; "
    code += "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    code += "pathlib.Path(sys.argv[1]).write_text(str(p.pid)); time.sleep(600)"
    text, error = isolated([sys.executable, "-c", code, str(told)], 3)
    assert (text, error) == (None, "no answer in 3 s")
    deadline = time.monotonic() + 10
    while _lives(int(told.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(int(told.read_text()))


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("share", "state"), [(0.7, State.OK), (0.2, State.WARNING)])
def test_products_are_told_as_shares_of_the_peak(
    monkeypatch: pytest.MonkeyPatch, share: float, state: State
) -> None:
    """The H100's dense peak in bf16 is 989 TFLOP/s (its data sheet)."""
    cards: dict[str, Any] = {"devices": [{"name": "NVIDIA H100 80GB HBM3"}]}

    def answer(command: list[str], seconds: float) -> tuple[str, str]:
        first = "devices" in command
        said = {"right": True, "found": "as it is", "values": cards if first else {},
                "flops": {} if first else {"bf16": share * 989e12}}  # fmt: skip
        return json.dumps(said), ""

    monkeypatch.setattr(computing, "isolated", answer)
    found = compute("cuda", nothing, ["devices", "products"])[1].finding
    assert found.state is state
    assert found.found == f"as it is ({share:.0%} of the bf16 peak)"


def test_the_report_names_no_user_host_or_path(tmp_path: Path) -> None:
    user, host = getpass.getuser(), socket.gethostname()
    text = f"OSError: {Path.home()}/secret/x.so: no such file, {user}@{host}, ~/my/data at 3 img/s"
    checked = [Checked(problem("block", text, "mend"), 1.0, {"of": [text], "n": 3})]
    path = tmp_path / "report.json"
    write_report(path, checked, [ok("GPUs", "2 x NVIDIA H100, 81559 MiB, 550.54")])
    written = path.read_text()
    for secret in (str(Path.home()), user, host, "secret", "my/data"):
        assert secret not in written or len(secret) < 3, secret
    assert "img/s" in written
    assert json.loads(written)["machine"]["GPUs"] == "2 x NVIDIA H100, 81559 MiB, 550.54"
    assert os.listdir(tmp_path) == ["report.json"]  # noqa: PTH208
