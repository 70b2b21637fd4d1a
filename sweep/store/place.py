"""Where an index may stand: on a local disk, and over one results root alone."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path

from sweep.journal import create_atomic
from sweep.layout import Root
from vitok_core.errors import UserError

MOUNTS = Path("/proc/self/mountinfo")

# SQLite needs locks and shared memory that hold for every process that has the file open. Across
# machines these file systems give neither, and a database on them is damaged in the end.
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
}  # fmt: skip
# File systems in user space are as a rule remote ones (sshfs, rclone, s3fs). These are local.
_LOCAL_FUSE = {
    "fuse.bindfs", "fuse.encfs", "fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.mergerfs",
}  # fmt: skip


def refuse_network(file: Path, mounts: str | None = None) -> None:
    """Raise UserError where a SQLite file would be on a network file system.

    Args:
        mounts: the text of a mount table; None: this machine's, where it has one.
    """
    kind = file_system(Path(os.path.realpath(file)), mount_table() if mounts is None else mounts)
    if is_network(kind):
        raise UserError(
            f"{file}: on a network file system ({kind}), which breaks SQLite; name an index on a "
            "local disk by --db sqlite:////local/disk/results.db (it is made from the journals at "
            "any time), or a PostgreSQL for a team; `db:` in the site file sets it for good"
        )


def mount_table() -> str:
    """This machine's mounts; "" where it has no such table."""
    return MOUNTS.read_text("utf-8", "surrogateescape") if MOUNTS.exists() else ""


def is_network(kind: str) -> bool:
    """Whether a type of file system is a network's."""
    return kind in _NETWORK or (kind.partition(".")[0] == "fuse" and kind not in _LOCAL_FUSE)


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that holds an absolute path; "" where the table has none.

    Args:
        mounts: lines of /proc/self/mountinfo; of mounts at one place the last one counts.
    """
    best, kind = -1, ""
    for entry in mounts.splitlines():
        before, _, after = entry.partition(" - ")
        place = Path(_unescaped(before.split()[4]))
        if len(place.parts) >= best and path.is_relative_to(place):
            best, kind = len(place.parts), after.split()[0]
    return kind


def _unescaped(text: str) -> str:
    """A path of the mount table: blanks and the like are octal there."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def root_id(root: Root | None) -> str | None:
    """What a results root is known by wherever it is mounted; made on first use.

    None while there is no root, or none that this process may mark.

    Raises:
        UserError: `root.json` is there, but is not what a launch or a sync writes.
    """
    if root is None or not root.path.is_dir():
        return None
    path = root.identity
    try:
        if not path.exists():
            create_atomic(path, json.dumps({"id": secrets.token_hex(8)}).encode() + b"\n")
        return str(json.loads(path.read_bytes())["id"])
    except OSError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: damaged; delete it, then `vitok-sweep db rebuild --replace`"
        ) from error
