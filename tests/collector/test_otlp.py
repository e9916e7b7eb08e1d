from __future__ import annotations

import json

import pytest

from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelope.collector.otlp import log_rows, span_rows
from otelope.collector.signals import SIGNALS, MalformedError
from otelope.collector.values import text
from otelope.store import open_store, questions
from tests.store.made import request


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with open_store(str(tmp_path_factory.mktemp("rows"))) as opened:
        yield opened


def rows_of(store, table):
    answer = store._engine.read(f"SELECT * FROM {table}", {})  # noqa: S608 - our own
    return [json.loads(line) for line in answer.splitlines()]


def test_a_log_record_is_a_row_of_the_exporters_columns(store):
    record = LogRecord(
        time_unix_nano=1_750_000_000_123_456_789,
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        flags=0x1_01,
        severity_number=9,
        severity_text="Info",
        event_name="an.event",
    )
    record.body.string_value = "ü" * 300
    record.attributes.add(key="n").value.int_value = -3
    record.attributes.add(key="empty").value.string_value = ""
    made = request(record)
    made.resource_logs[0].schema_url = "resource-schema"
    made.resource_logs[0].scope_logs[0].schema_url = "scope-schema"
    scope = made.resource_logs[0].scope_logs[0].scope
    scope.version = "9"
    scope.attributes.add(key="s").value.bool_value = True
    rows = log_rows(made)

    store.ingest(rows.table, rows.data, "a log record")

    assert rows_of(store, "otel_logs") == [
        [
            "2025-06-15 15:06:40.123456789",
            "000102030405060708090a0b0c0d0e0f",
            "0001020304050607",
            1,
            "Info",
            9,
            "payments",
            "ü" * 300,
            "resource-schema",
            {"service.name": "payments", "service.version": "2.1"},
            "scope-schema",
            "otelope",
            "9",
            {"s": "true"},
            {"n": "-3", "empty": ""},
            "an.event",
        ]
    ]


def test_a_span_is_a_row_of_the_exporters_columns(store):
    made = ExportTraceServiceRequest()
    resource_spans = made.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "web"
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "a.scope"
    span = scope_spans.spans.add(
        trace_id=b"\x01" * 16,
        span_id=b"\x02" * 8,
        parent_span_id=b"\x03" * 8,
        trace_state="k=v",
        name="send orders",
        kind=4,
        start_time_unix_nano=1_750_000_000_000_000_000,
        end_time_unix_nano=1_750_000_000_001_500_000,
    )
    span.status.code = 2
    span.status.message = "declined"
    event = span.events.add(time_unix_nano=1_750_000_000_000_000_001, name="exception")
    event.attributes.add(key="e").value.string_value = "v"
    span.links.add(trace_id=b"\x04" * 16, span_id=b"\x05" * 8, trace_state="s=t")
    span.links.add(trace_id=b"\x06" * 16, span_id=b"\x07" * 8)
    rows = span_rows(made)

    store.ingest(rows.table, rows.data, "a span")

    assert questions.spans(store, "01" * 16) == [
        {
            "started": 1_750_000_000_000,
            "span_id": "02" * 8,
            "parent_span_id": "03" * 8,
            "name": "send orders",
            "kind": "Producer",
            "service": "web",
            "attributes": {},
            "duration_ms": 1.5,
            "status": "Error",
            "status_message": "declined",
            "links": [
                {"trace_id": "04" * 16, "span_id": "05" * 8},
                {"trace_id": "06" * 16, "span_id": "07" * 8},
            ],
        }
    ]
    (row,) = rows_of(store, "otel_traces")
    assert row[15:] == [
        ["2025-06-15 15:06:40.000000001"],
        ["exception"],
        [{"e": "v"}],
        ["04" * 16, "06" * 16],
        ["05" * 8, "07" * 8],
        ["s=t", ""],
        [{}, {}],
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AnyValue(string_value="text"), "text"),
        (AnyValue(int_value=-7), "-7"),
        (AnyValue(double_value=2.5), "2.5"),
        (AnyValue(bool_value=False), "false"),
        (AnyValue(bytes_value=b"\xff\x00"), "/wA="),
        (AnyValue(), ""),
        (
            AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue()])),
            "[1,null]",
        ),
        (
            AnyValue(
                kvlist_value=KeyValueList(
                    values=[KeyValue(key="ü", value=AnyValue(bytes_value=b"a"))]
                )
            ),
            '{"ü":"YQ=="}',
        ),
    ],
)
def test_values_as_text(value, expected):
    assert text(value) == expected


texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(0, (1 << 64) - 1)


@st.composite
def records(draw):
    record = LogRecord(
        time_unix_nano=draw(numbers),
        observed_time_unix_nano=draw(numbers),
        trace_id=draw(st.binary(max_size=20)),
        span_id=draw(st.binary(max_size=20)),
        flags=draw(st.integers(0, (1 << 32) - 1)),
        severity_number=draw(st.integers(-(1 << 31), (1 << 31) - 1)),
        event_name=draw(texts),
    )
    record.body.string_value = draw(texts)
    for key in draw(st.lists(texts, max_size=4)):
        record.attributes.add(key=key).value.string_value = draw(texts)
    return record


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(records(), min_size=1, max_size=20))
def test_whatever_is_a_request_can_be_stored(store, made):
    before = questions.health(store)["otel_logs"]["rows"]
    rows = log_rows(request(*made))

    store.ingest(rows.table, rows.data, rows.data.hex()[:40] + str(before))

    assert questions.health(store)["otel_logs"]["rows"] == before + len(made)


def test_json_and_protobuf_make_the_same_rows():
    record = LogRecord(time_unix_nano=7, trace_id=b"\xab" * 16, span_id=b"\xcd" * 8)
    made = request(record)
    as_json = json_format.MessageToDict(made)
    written = as_json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    written.update(traceId="AB" * 16, spanId="cd" * 8, aFieldOfTomorrow=[1])

    from_json = SIGNALS["logs"].from_json(json.dumps(as_json).encode())

    assert from_json == SIGNALS["logs"].from_protobuf(made.SerializeToString())


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"resourceLogs": 5}',
     b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "xyz"}]}]}]}'],
    ids=["empty", "list", "cut off", "not UTF-8", "deep", "wrong type", "no hexadecimal"],
)  # fmt: skip
def test_malformed_json(body):
    with pytest.raises(MalformedError, match=r"JSON object|ExportLogsServiceRequest|hexadecimal"):
        SIGNALS["logs"].from_json(body)
