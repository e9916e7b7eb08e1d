"""psycopg 3: PostgreSQL, sync and async."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.pq import TransactionStatus
from psycopg.sql import Composable
from psycopg.types.json import Json, Jsonb

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.store_sites import Database, Execute, Row


# `commit`, `rollback` and `transaction` all speak by one method.
_COMMANDING = "psycopg.connection:BaseConnection"


def executed(call: Call) -> str:
    query = call["query"] or call["command"]
    if isinstance(query, Composable):
        query = query.as_string(call.instance)
    return query.decode(errors="replace") if isinstance(query, bytes) else str(query)


def bound(call: Call) -> Sequence[Row]:
    rows = call["params_seq"] or [call["params"]]
    # What a pipeline does is not known before its end; what is generated can be read once.
    if call.instance.connection.info.pipeline_status or not isinstance(rows, list | tuple):
        return ()
    return [plain(row) for row in rows if row]


def plain(row: Row) -> Row:
    if isinstance(row, Mapping):
        return dict(zip(row, plain(list(row.values())), strict=True))
    return [value.obj if isinstance(value, Json | Jsonb) else value for value in row]


def commanded(result: Any, _: Call) -> str | None:
    # A pipeline has none yet.
    return (result.command_status or b"").decode() if result else None


DATABASE = Database(
    lambda connection: str(connection.info.dbname),
    lambda connection: bool(connection.pgconn.transaction_status != TransactionStatus.IDLE),
)
ADAPTER = Adapter(
    system="postgresql",
    carrier=MAPPING,
    sites=(
        *(
            Execute(
                f"psycopg:{cursor}.{method}",
                DATABASE,
                executed,
                lambda call: call.instance.connection,
                bound,
                written=lambda _, call: int(call.instance.rowcount),
                tag=lambda _, call: call.instance.statusmessage,
            )
            for cursor in ("Cursor", "AsyncCursor")
            for method in ("execute", "executemany")
        ),
        Execute(f"{_COMMANDING}._exec_command", DATABASE, executed, tag=commanded),
        Execute("psycopg:Connection.close", DATABASE, lambda _: "ROLLBACK"),
        Execute("psycopg:AsyncConnection.close", DATABASE, lambda _: "ROLLBACK"),
    ),
)
