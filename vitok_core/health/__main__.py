"""`python -m vitok_core.health CHECK DEVICE`: the check's outcome as JSON, the last line of stdout.

On `cuda` at the size of real work, on `cpu` in small: the same code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module

from vitok_core.health.outcome import Outcome

CHECKS: Mapping[str, str] = {
    "devices": "devices:devices",
    "products": "products:products",
    "block": "block:half_precision",
    "compile": "block:compiled",
    "all-reduce": "allreduce:all_reduce",
    "training": "training:speed",
    "resume": "training:resume",
    "loading": "loading:loading",
}


def main(name: str, device: str) -> None:
    """Run one check of the table and print what it found."""
    module, _, function = CHECKS[name].partition(":")
    check: Callable[[str], Outcome] = getattr(
        import_module(f"vitok_core.health.{module}"), function
    )
    sys.stdout.write(f"\n{json.dumps(asdict(check(device)))}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
