"""What a database says when something is wrong, in one line that tells the user what to do."""

from __future__ import annotations

import re

from vitok_core.errors import UserError

PATIENCE = 60.0  # seconds that one process waits for another's transaction

_OWN = "an index of your own by --db sqlite:///FILE"
_BUSY = f"another process has held it for over {PATIENCE:.0f} s; try again, or keep {_OWN}"
_LATER = "the journals are complete, and the next command goes on from them"

_DAMAGED = "is damaged; `vitok-sweep db rebuild` makes it anew from the journals"

_ADVICE = {  # by a pattern of the driver's words
    # SQLite
    "database is locked": _BUSY,
    "readonly database": f"cannot be written; keep {_OWN}",
    "unable to open database": "cannot be opened or made; check its folder's permissions, or keep "
    f"{_OWN}",
    "disk is full": f"the disk is full; {_LATER}, once there is room or with {_OWN}",
    "disk i/o error": f"its disk cannot be read or written (full? over quota?); {_LATER}",
    "malformed": _DAMAGED,
    "could not decode to utf-8": _DAMAGED,
    "not a database": "is not a database; `vitok-sweep db rebuild` puts it aside and makes it anew",
    # both
    "unique constraint": "holds rows of files that have since been replaced; "
    "`vitok-sweep db rebuild` makes it anew",
    # PostgreSQL
    "lock timeout": _BUSY,
    "deadlock detected": "another process was in the way; try again",
    "no space left on device": f"the database server's disk is full; {_LATER}",
    "connection refused": "the database server refuses connections; is it up?",
    "connection timeout expired": "the database server does not answer; is the host right?",
    "failed to resolve host": "the database server's name is not known",
    "administrator command": f"the database server was stopped meanwhile; {_LATER}",
    "server closed the connection": f"the database server went away; {_LATER}",
    "connection is lost": f"the connection to the database server is lost; {_LATER}",
    "connection is closed": f"the connection to the database server is lost; {_LATER}",
    "connection reset": f"the connection to the database server is lost; {_LATER}",
    "is shutting down": f"the database server is stopping; {_LATER}",
    "is starting up": "the database server is starting; try again in a moment",
    "in recovery mode": "the database server is recovering from a crash; try again in a moment",
    "too many clients": "the database server has no connection left; try again, or keep " + _OWN,
    "connection slots": "the database server has no connection left; try again, or keep " + _OWN,
    "password authentication failed": "the database server refuses this user or password",
    "no password supplied": "the database server wants a password; put it into ~/.pgpass",
    "no pg_hba.conf entry": "the database server does not let this user in from here",
    "permission denied": "this user may not do that; ask for a database (or schema) of your own",
    "read-only transaction": "the database server takes no writes (a standby?)",
    "no schema has been selected": "no schema of this database is there to write to",
    "depend on it": "other views or tables lean on the old tables; drop those first",
    'database ".*" does not exist': "the server has no such database; make it: createdb NAME",
    'role ".*" does not exist': "the server knows no such user",
}


_NO_ROOM = re.compile("disk is full|disk i/o error")


class IndexFull(UserError):  # noqa: N818  (a finding about the disk)
    """The disk of the index has no room: it can be looked at in memory meanwhile."""

    exit_code = 1


def damaged(name: str) -> UserError:
    """The file holds what SQLite cannot read, or what nobody wrote."""
    return UserError(f"{name}: {_DAMAGED}")


def without_password(url: str) -> str:
    """A URL that may be none, for messages."""
    url = re.sub(r"(://[^/@]*?):.*@", r"\1:***@", url)
    return re.sub(r"([?&]\w*password=)[^&]*", r"\1***", url, flags=re.IGNORECASE)


def trouble(error: BaseException, name: str) -> UserError | None:
    """As `explain`, to be raised."""
    said = explain(error, name)
    if said is None:
        return None
    return (IndexFull if _NO_ROOM.search(str(error).lower()) else UserError)(said)


def explain(error: BaseException, name: str) -> str | None:
    """What the user can mend, in one line; None for anything else.

    Args:
        error: the driver's exception.
        name: of the database.
    """
    said = str(error).lower()
    for sign, advice in _ADVICE.items():
        if re.search(sign, said):
            return f"{name}: {advice}"
    return None
