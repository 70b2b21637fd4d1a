"""Which packages are installed. None is imported."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from sweep.doctor.finding import Finding, ok, problem

_NEEDED = ("vitok-sweep", "torch", "numpy", "submitit", "sqlalchemy", "pydantic")


def versions(needed: Sequence[str] = _NEEDED) -> list[Finding]:
    """Python and what the jobs' results depend on."""
    found, missing = [f"python {platform.python_version()}"], []
    for name in needed:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        lacking = f"not installed: {', '.join(missing)}"
        return [problem("versions", lacking, "pip install vitok-sweep, in this environment")]
    return [ok("versions", ", ".join(found))]
