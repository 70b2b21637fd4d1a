"""The measured speeds of a results root: `rehearsals/speed.json`, which `plan` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.layout import Root
from sweep.model import Plan
from sweep.planning.speeds import Speed, Speeds, keys
from vitok_core.errors import UserError
from vitok_core.files import replace_atomically

if TYPE_CHECKING:
    from sweep.rehearsal.outcome import Outcome


def speeds(root: Root) -> Speeds:
    """What was measured so far; nothing where there is no such file.

    Raises:
        UserError: the file holds something else.
    """
    return {
        name: {
            key: Speed(float(entry["images_per_second"]), str(entry["measured"]))
            for key, entry in entries.items()
        }
        for name, entries in _read(_path(root)).items()
    }


def keep(found: Iterable[Outcome], plan: Plan, root: Root) -> int:
    """Write down the speed of the jobs that ran whole, on their own data; how many those are.

    Args:
        plan: the sweep's own, whose jobs the rehearsed ones stand for.
    """
    whole = [each for each in found if each.whole and each.images_per_second]
    if not whole:
        return 0
    content, known = _read(_path(root)), keys(plan.jobs)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for each in whole:
        entry = {
            "images_per_second": each.images_per_second,
            "measured": now,
            "slug": each.rehearsed.job.slug,
        }
        of_device = content.setdefault(each.device_name or "", {})
        of_device.update({known[job]: entry for job in each.rehearsed.stands_for})
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    root.rehearsals.mkdir(parents=True, exist_ok=True)
    replace_atomically(_path(root), lambda file: file.write(text.encode()))
    return len(whole)


def _path(root: Root) -> Path:
    return root.rehearsals / "speed.json"


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    try:
        content = json.loads(path.read_bytes())
        for entries in content.values():
            for entry in entries.values():
                if not entry["images_per_second"] > 0 or not isinstance(entry["measured"], str):
                    raise ValueError
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path}: expected speeds as `rehearse --real-shapes` writes them; delete the file, "
            "and plan estimates again"
        ) from error
    return dict(content)
