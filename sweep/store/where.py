"""Which index a results root has, where the caller does not say: for commands and for notebooks."""

from __future__ import annotations

import os
from pathlib import Path


def database_url(option: str | None, site: Path | None = None) -> str | None:
    """The option, else VITOK_DB, else the site file's `db`; None: the results root's own.

    Args:
        site: the site file; None: VITOK_SITE, or the default one.
    """
    if option or os.environ.get("VITOK_DB"):
        return option or os.environ["VITOK_DB"]
    from sweep.sitefile import site_file

    file = site_file(site)
    if file is None:
        return None
    from sweep import site as sites

    return sites.load(file).db
