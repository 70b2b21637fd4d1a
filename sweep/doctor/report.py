"""The report of `doctor --gpu`: one JSON file that may be shown to others.

It holds versions, device names and numbers. User and host names and paths are taken out of what
commands and exceptions said.
"""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweep.doctor.computing import Checked
from sweep.doctor.finding import Finding
from vitok_core.files import replace_atomically

_PATH = re.compile(r"(?<![\w.])~?(?:/[^\s/:'\",;()]+)+/?")
_HIDDEN = "…"
_SHORTEST = 3  # a shorter name would be found inside of words


def write_report(path: Path, checked: Sequence[Checked], machine: Sequence[Finding]) -> None:
    """Write it to a file, which stands whole or not at all.

    Args:
        machine: findings about versions and drivers, to stand above.
    """
    content = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {each.check: each.found for each in machine},
        "checks": [
            {**each.finding.as_json(), "seconds": each.seconds, "values": each.values}
            for each in checked
        ],
    }
    text = json.dumps(scrubbed(content, _names()), indent=1, ensure_ascii=False) + "\n"
    replace_atomically(path, lambda file: file.write(text.encode()))


def scrubbed(value: Any, names: Sequence[str]) -> Any:
    """The value with paths and these names taken out of all of its texts."""
    if isinstance(value, str):
        text = _PATH.sub(_HIDDEN, value)
        for name in names:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _HIDDEN, text)
        return text
    if isinstance(value, Mapping):
        return {key: scrubbed(each, names) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(each, names) for each in value]
    return value


def _names() -> list[str]:
    """What this user and this machine are called."""
    host = socket.gethostname()
    found = [Path.home().name, host, host.partition(".")[0]]
    with suppress(KeyError, OSError):  # a container's user may have none
        found.append(getpass.getuser())
    return [name for name in dict.fromkeys(found) if len(name) >= _SHORTEST]
