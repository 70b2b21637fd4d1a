"""The index: which database it is, whether it opens, and what made it. Nothing is written."""

from __future__ import annotations

from sqlalchemy import inspect

from sweep.doctor.finding import Finding, ok, problem, told, warning
from sweep.layout import Root
from sweep.store import schema
from sweep.store.engine import Store, connect, read_meta
from sweep.store.place import root_id
from vitok_core.errors import UserError


def database(root: Root, url: str | None) -> list[Finding]:
    """Open it and read its schema's version."""
    if url is None and not root.path.is_dir():
        return [ok("database", f"{root.path / 'results.db'}, made with the first launch")]
    try:
        store = connect(root, url)
        if store.file is not None and not store.file.exists():
            if not store.file.parent.parent.is_dir():
                found = f"{store.file}: neither its folder nor the one above is there"
                return [problem("database", found, f"mkdir -p {store.file.parent}")]
            return [ok("database", f"{store.file}, made on first use")]
        return [_opened(store, root)]
    except UserError as error:
        return [told("database", str(error), "mend --db, VITOK_DB, or `db:` of the site file")]


def _opened(store: Store, root: Root) -> Finding:
    with store.read() as connection:
        tables = set(inspect(connection).get_table_names())
        known = read_meta(connection) if "meta" in tables else {}
    version = known.get("schema")
    if not tables:
        return ok("database", f"{store.name}: opens, empty yet")
    if version is None:
        return told("database", f"{store.name}: not an index of ours; name another by --db")
    if version != str(schema.VERSION):
        found = f"{store.name}: schema {version}, this release reads {schema.VERSION}"
        return warning("database", found, "`vitok-sweep db rebuild` makes it anew")
    ours = root_id(root) if root.identity.exists() else None
    unseen = ours is None and not root.path.exists() and "root" in known
    if unseen or (ours is not None and known.get("root", ours) != ours):
        mend = "name one of its own by --db, or `vitok-sweep db rebuild --replace`"
        return problem("database", f"{store.name}: the index of another results root", mend)
    return ok("database", f"{store.name}: opens, schema {version}")
