"""psycopg 3: PostgreSQL, sync and async."""

from __future__ import annotations

from typing import Any

from psycopg.pq import TransactionStatus
from psycopg.sql import Composable
from psycopg.types.json import Json, Jsonb

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.sites.store import Database, Execute


def executed(call: Call) -> Any:
    query = call["query"] or call["command"]
    return query.as_string(call.instance) if isinstance(query, Composable) else query


def bound(call: Call) -> Any:
    # What a pipeline does is not known before its end.
    in_pipeline = call.instance.connection.info.pipeline_status
    return () if in_pipeline else call["params_seq"] or [call["params"]]


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
                plain=lambda value: value.obj if isinstance(value, Json | Jsonb) else value,
                written=lambda _, call: int(call.instance.rowcount),
                tag=lambda _, call: call.instance.statusmessage,
            )
            for cursor in ("Cursor", "AsyncCursor")
            for method in ("execute", "executemany")
        ),
        Execute(
            # `commit`, `rollback` and `transaction` all speak by this one.
            "psycopg.connection:BaseConnection._exec_command",
            DATABASE,
            executed,
            tag=lambda result, _: result and result.command_status,  # in a pipeline, None yet
        ),
        Execute("psycopg:Connection.close", DATABASE, "ROLLBACK"),
        Execute("psycopg:AsyncConnection.close", DATABASE, "ROLLBACK"),
    ),
)
