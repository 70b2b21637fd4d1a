"""Counting classes of users' own, which may do anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vitok_core.plugins import source_sha256

WILD = """
import os, sys
from vitok_core.models.tokenizer import ViTok

class Loud(ViTok):
    def __init__(self, *given):
        os.write(1, b"not Python's stdout")
        print("and Python's")
        super().__init__(*given)

class Leaving(ViTok):
    def __init__(self, *given):
        sys.exit(7)
"""


def test_one_that_prints_or_exits_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wild.py").write_text(WILD)
    monkeypatch.syspath_prepend(str(tmp_path))
    tower = {"width": 8, "blocks": 1, "heads": 2}
    tokenizer = {"encoder": tower, "decoder": tower, "patch": 8, "channels": 2}
    asked = [
        {
            "tokenizer": {
                **tokenizer,
                "class": f"wild:{name}",
                "class_sha256": source_sha256("wild"),
            },
            "frames": 1,
            "resolution": 16,
        }
        for name in ("Leaving", "Loud")
    ]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "vitok_core.models.count"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    leaving, loud = json.loads(done.stdout)
    assert leaving == {"error": "SystemExit: 7"}
    assert loud["parameters"] > 0
