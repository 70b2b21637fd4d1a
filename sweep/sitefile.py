"""Where the site file is. Apart from reading it, which costs a fifth of a second of imports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vitok_core.errors import UserError

DEFAULT = Path("~/.config/vitok-sweep/site.yaml")


def site_file(option: Path | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """--site, else VITOK_SITE, else the default file if it exists; None: there is none.

    Raises:
        UserError: the one that is named is not there.
    """
    environ = os.environ if environ is None else environ
    named = option or (Path(environ["VITOK_SITE"]) if environ.get("VITOK_SITE") else None)
    path = (named or DEFAULT).expanduser()
    if path.exists():
        return path
    if named is None:
        return None
    source = "--site" if option else "VITOK_SITE"
    raise UserError(f"{path}: no such site file ({source})")
