"""SQLAlchemy: Core and ORM, sync and async, with any driver."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.sites.store import Database, Execute


_CONNECTION = "sqlalchemy.engine.base:Connection"


def named(connection: Any) -> str:
    url = connection.engine.url
    # SQLite's is a path, or none.
    return PurePath(url.database or "").name.replace(":memory:", "") or url.get_backend_name()


def executed(call: Call) -> Any:
    return call["context"].statement


def bound(call: Call) -> Any:
    context = call["context"]
    # As the application gave them, before the columns' types made JSON text of its data.
    return context.compiled_parameters if context.compiled else context.parameters


def counted(_: Any, call: Call) -> int:
    context = call["context"]
    # sqlite3 counts what RETURNING returns only when it has been read.
    return -1 if context.cursor.description else int(context.rowcount)


DATABASE = Database(
    named,
    in_transaction=lambda connection: not connection._is_autocommit_isolation(),  # noqa: SLF001 - the public way asks the database
    aborts=lambda connection: connection.dialect.name == "postgresql",
)
# The events of SQLAlchemy's own tell of a commit before it is done, and stay on in the engines
# when they are removed. Savepoints are statements.
ADAPTER = Adapter(
    system="other_sql",
    carrier=MAPPING,
    sites=(
        Execute(
            f"{_CONNECTION}._exec_single_context", DATABASE, executed, rows=bound, written=counted
        ),
        Execute(f"{_CONNECTION}._exec_insertmany_context", DATABASE, executed, rows=bound),
        *(
            Execute(f"{_CONNECTION}._{verb}{phases}_impl", DATABASE, verb.upper())
            for verb in ("commit", "rollback")
            for phases in ("", "_twophase")
        ),
    ),
)
