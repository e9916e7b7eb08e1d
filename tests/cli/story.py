"""One causation tree with everything a tree can have, as JSON and as the OTLP that leads to it."""

from __future__ import annotations

import json

from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelope.model import semconv
from otelope.model.identity import identify


# 2026-11-23 14:03:07.120 UTC
START = 1_795_442_587_120.0
OUTBOX_MS = 2.0
LINEAGE = "8f19aa8e-53c1-8d27"


def envelope(
    number: int,
    type: str,  # noqa: A002 - the envelope's word
    kind: str | None,
    source: tuple[str, str],
    channel: str | None,
    after: float,
    *,
    lineage: str = LINEAGE,
    deliveries: Iterable[dict[str, Any]] = (),
    stores: Iterable[dict[str, Any]] = (),
    children: Iterable[dict[str, Any]] = (),
    kind_inferred: bool = False,
    parent_inferred: bool = False,
) -> dict[str, Any]:
    """A node of a tree; its children are told their parent's id and their lag."""
    own = f"{lineage}-a000-{number:012x}"
    where = identify(own)
    node = {
        "id": own,
        "type": type,
        "kind": kind,
        "kind_inferred": kind_inferred,
        "timestamp": START + after,
        "parent_id": None,
        "parent_inferred": parent_inferred,
        "lag_ms": None,
        "channel": channel,
        "cause_span_id": None,
        "trace_id": f"{where.trace_id:032x}",
        "span_id": f"{where.span_id:016x}",
        "service": source[0],
        "source": {"name": source[0], "version": source[1]},
        "missing": False,
        "deliveries": list(deliveries),
        "sends": [],
        "stores": list(stores),
        "outbox_ms": None,
        "stuck": False,
        "children": list(children),
    }
    waited = [each["started"] + each["duration_ms"] for each in node["stores"] if each["outbox"]]
    if waited:
        node["outbox_ms"] = OUTBOX_MS
    sent = waited[0] + OUTBOX_MS if waited else node["timestamp"]
    node["sends"].append(_send(node, source, sent))
    for each in (*node["deliveries"], *node["stores"]):
        each["trace_id"] = node["trace_id"]
    for each in node["deliveries"]:
        each["broker_ms"] = round(each["started"] - sent, 3)
    for each in node["children"]:
        each["parent_id"] = own
        each["lag_ms"] = each["timestamp"] - node["timestamp"]
    return node


def _send(node: dict[str, Any], service: tuple[str, str], at: float) -> dict[str, Any]:
    """The one sending, which the envelope's own record tells."""
    return {
        "service": service[0],
        "version": service[1],
        "channel": node["channel"],
        "outcome": "ok",
        "error_type": None,
        "started": at,
        "duration_ms": None,
        "lag_ms": at - node["timestamp"],
        "trace_id": node["trace_id"],
        "span_id": node["span_id"],
    }


def store(
    number: int,
    service: tuple[str, str],
    name: str,
    after: float,
    took: float,
    *,
    outbox: bool = False,
    error_type: str | None = None,
) -> dict[str, Any]:
    """One transaction, as in the JSON of a tree; its envelope gives it its trace."""
    return {
        "service": service[0],
        "version": service[1],
        "channel": name,
        "outcome": "error" if error_type else "ok",
        "error_type": error_type,
        "started": START + after,
        "duration_ms": took,
        "trace_id": None,
        "span_id": f"{0xE0 + number:016x}",
        "outbox": outbox,
    }


def delivery(
    number: int,
    service: tuple[str, str],
    channel: str | None,
    after: float,
    took: float,
    lag: float,
    *,
    outcome: str = "ok",
    error_type: str | None = None,
    attempt: int | None = None,
    redelivered: bool | None = None,
    duplicate: bool = False,
) -> dict[str, Any]:
    """One handling, as in the JSON of a tree; its envelope gives it its trace."""
    return {
        "service": service[0],
        "version": service[1],
        "channel": channel,
        "outcome": outcome,
        "error_type": error_type,
        "started": START + after,
        "duration_ms": took,
        "lag_ms": lag,
        "attempt": attempt,
        "redelivered": redelivered,
        "duplicate": duplicate,
        "trace_id": None,
        "span_id": f"{0xD0 + number:016x}",
    }


def tree(root: dict[str, Any]) -> dict[str, Any]:
    """The answer of ``GET /api/tree/{id}`` for the tree under a root."""
    nodes = list(walk(root))
    deliveries = [each for node in nodes for each in node["deliveries"]]
    done = [each for node in nodes for each in (*node["deliveries"], *node["stores"])]
    return {
        "root": root,
        "trace_ids": sorted({node["trace_id"] for node in nodes if not node["missing"]}),
        "counts": {
            "envelopes": sum(not node["missing"] for node in nodes),
            "deliveries": len(deliveries),
            "failed": sum(each["outcome"] == "error" for each in done),
        },
        "truncated": False,
    }


def walk(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node["children"])


SHOP, ORDERS = ("shop", "3.2"), ("orders", "1.0")
PAYMENTS, SHIPPING, MAILER = ("payments", "2.1"), ("shipping", "1.4"), ("mailer", "")


def order() -> dict[str, Any]:
    """An order whose payment fails at first; made anew, so that a test may change it."""
    declined = envelope(
        5, "PaymentDeclined", "event", PAYMENTS, "payments.events", 31, kind_inferred=True,
        deliveries=[delivery(5, ORDERS, "payments.events", 34, 2, 3)],
    )  # fmt: skip
    captured = envelope(
        6, "PaymentCaptured", "event", PAYMENTS, "payments.events", 1_250, kind_inferred=True,
        deliveries=[
            delivery(
                6, SHIPPING, "shipping.inbox", 1_260, 41, 10,
                outcome="unknown", redelivered=True,
            ),
        ],
    )  # fmt: skip
    charge = envelope(
        3, "ChargeCard", "command", PAYMENTS, "payments.commands", 22,
        deliveries=[
            delivery(
                3, PAYMENTS, "payments.commands", 25, 6.4, 3,
                outcome="error", error_type="CardDeclined", attempt=1,
            ),
            delivery(4, PAYMENTS, "payments.commands", 1_230, 22, 1_208, attempt=2),
        ],
        children=[declined, captured],
    )  # fmt: skip
    thanked = envelope(4, "customer.thanked", None, MAILER, None, 19, parent_inferred=True)
    placed = envelope(
        2, "OrderPlaced", "event", ORDERS, "orders.events", 14, kind_inferred=True,
        stores=[
            store(1, ORDERS, "orders-db", 10, 1.5, error_type="Deadlock"),
            store(2, ORDERS, "orders-outbox", 14.25, 0.25, outbox=True),
        ],
        deliveries=[
            delivery(1, MAILER, "orders.events", 17, 5, 3),
            delivery(2, PAYMENTS, "orders.events", 17.5, 9, 3.5),
        ],
        children=[thanked, charge],
    )  # fmt: skip
    return envelope(
        1, "PlaceOrder", "command", SHOP, "/orders", 0,
        stores=[store(0, ORDERS, "orders-db", 4, 1)],
        deliveries=[delivery(0, ORDERS, "/orders", 3, 12, 3)],
        children=[placed],
    )  # fmt: skip


def failures(node: dict[str, Any]) -> list[dict[str, Any]]:
    """What failed of all that was done with an envelope, as in the JSON of a tail."""
    done = (*node["deliveries"], *node["stores"])
    return [{**each, "operation": _operation(each)} for each in done if each["outcome"] == "error"]


def export_request(nodes: Iterable[dict[str, Any]]) -> bytes:
    """The nodes' envelope and delivery records as the services would export them."""
    request = ExportLogsServiceRequest()
    for node in nodes:
        if not node["missing"]:
            _add(request, node["service"], node["source"]["version"], _envelope_record(node))
        for each in (*node["deliveries"], *node["stores"]):
            _add(request, each["service"], each["version"], _delivery_record(node, each))
    return request.SerializeToString()


def process_request(service: str, version: str, pid: int, at: float, status: Any) -> bytes:
    """What a process says of its own state, as it would export it."""
    request = ExportLogsServiceRequest()
    record = LogRecord(
        event_name=semconv.PROCESS_EVENT,
        time_unix_nano=int(at * 1e6),
        body=_value(json.dumps(status)),
        attributes=_attributes({semconv.PROCESS_PID: pid}),
    )
    _add(request, service, version, record)
    return request.SerializeToString()


def _add(request: ExportLogsServiceRequest, service: str, version: str, record: LogRecord) -> None:
    resource = request.resource_logs.add()
    named = {semconv.SERVICE_NAME: service, semconv.SERVICE_VERSION: version}
    resource.resource.attributes.extend(_attributes(named))
    resource.scope_logs.add().log_records.append(record)


def _envelope_record(node: dict[str, Any]) -> LogRecord:
    body = {"id": node["id"], "type": node["type"], "parentId": node["parent_id"]}
    return LogRecord(
        event_name=semconv.ENVELOPE_EVENT,
        time_unix_nano=int(node["timestamp"] * 1e6),
        trace_id=bytes.fromhex(node["trace_id"]),
        span_id=bytes.fromhex(node["span_id"]),
        body=_value(json.dumps(body)),
        attributes=_attributes(
            {
                semconv.ENVELOPE_ID: node["id"],
                semconv.ENVELOPE_TYPE: node["type"],
                semconv.ENVELOPE_KIND: node["kind"],
                semconv.ENVELOPE_KIND_INFERRED: node["kind_inferred"],
                semconv.ENVELOPE_SOURCE_NAME: node["source"]["name"],
                semconv.ENVELOPE_SOURCE_VERSION: node["source"]["version"],
                semconv.ENVELOPE_CHANNEL: node["channel"],
                semconv.ENVELOPE_PARENT_ID: node["parent_id"],
                semconv.PARENT_INFERRED: node["parent_inferred"],
                semconv.PARENT_LAG_MS: node["lag_ms"],
                semconv.RECORDED_BY: "sender",
                semconv.SEND_LAG_MS: node["sends"][0]["lag_ms"],
            }
        ),
    )


def _delivery_record(node: dict[str, Any], each: dict[str, Any]) -> LogRecord:
    return LogRecord(
        event_name=semconv.DELIVERY_EVENT,
        time_unix_nano=int(each["started"] * 1e6),
        trace_id=bytes.fromhex(each["trace_id"]),
        span_id=bytes.fromhex(each["span_id"]),
        attributes=_attributes(
            {
                semconv.ENVELOPE_ID: node["id"],
                semconv.ENVELOPE_TYPE: node["type"],
                semconv.ENVELOPE_CHANNEL: each["channel"],
                semconv.DELIVERY_OPERATION: _operation(each),
                semconv.DELIVERY_OUTCOME: each["outcome"],
                semconv.ERROR_TYPE: each["error_type"],
                semconv.DELIVERY_DURATION_MS: each["duration_ms"],
                semconv.DELIVERY_LAG_MS: each.get("lag_ms"),
                semconv.DELIVERY_ATTEMPT: each.get("attempt"),
                semconv.DELIVERY_REDELIVERED: each.get("redelivered"),
            }
        ),
    )


def _operation(each: dict[str, Any]) -> str:
    if "outbox" not in each:
        return "process"
    return "outbox" if each["outbox"] else "store"


def _attributes(named: dict[str, Any]) -> list[KeyValue]:
    return [
        KeyValue(key=key, value=_value(value)) for key, value in named.items() if value is not None
    ]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)
