"""What commands print: messages on stderr; with `--json` the same form for every report."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def print_json(content: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Print it on stdout as strict JSON: letters as they are, and no NaN.

    Raises:
        ValueError: a number that is not finite, which JSON has no word for.
    """
    print(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))


def say(line: str) -> None:
    """Print a message on stderr, at once."""
    print(line, file=sys.stderr, flush=True)
