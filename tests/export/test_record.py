"""Our bytes against OpenTelemetry's own classes."""

from __future__ import annotations

import base64
import json

from datetime import datetime, timezone
from uuid import UUID

import pytest

from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelope.core.contracts import Leaving
from otelope.core.records import DeliveryRecord, EnvelopeRecord
from otelope.export.body import envelope_json
from otelope.export.protobuf import any_value, read_fields, varint
from otelope.export.record import Encoder, process_record
from otelope.export.request import Request, entry
from otelope.model.envelope import Envelope, Source
from tests.export.collectors import attributes, plain
from tests.export.made import NOW, delivery_record, envelope_record


def kind(name):
    return {"PlaceOrder": ("command", False), "Odd": (None, False)}.get(name, ("event", True))


encode = Encoder(kind)


def decoded(record):
    return LogRecord.FromString(encode(record))


texts = st.text(max_size=300)
optional_texts = st.none() | texts
json_payloads = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
envelopes = st.builds(
    Envelope,
    id=texts,
    type=texts,
    timestamp=st.none() | st.floats() | st.integers(-(10**20), 10**20),
    source=st.builds(Source, texts, texts),
    parent_id=optional_texts,
    channel=optional_texts,
    kind=st.none() | st.sampled_from(["command", "event"]),
    payload=json_payloads | st.binary(max_size=100) | st.integers() | st.text(st.characters()),
    text=st.none() | st.binary(max_size=400),
)
span_ids = st.integers(1, 2**64 - 1)
trace_ids = st.integers(1, 2**128 - 1)
moments = st.integers(0, 2**63 - 1)
flags = st.integers(0, 255)
field_names = st.frozensets(st.text(st.characters(), max_size=9), max_size=4)
leavings = st.none() | st.builds(Leaving, field_names, field_names)


def of_one_parent(record):
    """What is known of a parent is known as a whole, and of nothing else."""
    if None in (record.parent_type, record.parent_source):
        record = replace(record, parent_type=None, parent_source=None)
    return replace(
        record, parent_inferred=record.parent_inferred and record.envelope.parent_id is not None
    )


envelope_records = st.builds(
    EnvelopeRecord,
    envelope=envelopes,
    observed_ns=moments,
    trace_id=trace_ids,
    span_id=span_ids,
    trace_flags=flags,
    channel=optional_texts,
    recorded_by=st.sampled_from(["maker", "sender", "receiver"]),
    parent_inferred=st.booleans(),
    cause_span_id=st.just(0) | span_ids,
    parent_type=optional_texts,
    parent_source=optional_texts,
    parent_timestamp=st.none() | st.floats(0, 1e13),
    leaving=leavings,
).map(of_one_parent)
delivery_records = st.builds(
    DeliveryRecord,
    envelope=envelopes,
    started_ns=moments,
    ended_ns=moments,
    trace_id=trace_ids,
    span_id=span_ids,
    trace_flags=flags,
    channel=optional_texts,
    outcome=st.sampled_from(["ok", "error", "unknown"]),
    error_type=optional_texts,
    attempt=st.none() | st.integers(1, 2**62),
    redelivered=st.none() | st.booleans(),
    operation=st.sampled_from(["process", "send", "store", "outbox"]),
    leaving=leavings,
)


def leaving_in(found):
    """What attributes tell of a contract; they are taken out."""
    names = [found.pop(f"otelope.contract.{each}", None) for each in ("declared", "left")]
    return Leaving(*(frozenset(json.loads(text)) for text in names)) if any(names) else None


def clean(text):
    return text.encode("utf-8", "replace").decode()


@given(envelope_records)
def test_an_envelope_record_is_what_opentelemetry_reads(record):
    log = decoded(record)
    envelope = record.envelope
    assert len(UnknownFieldSet(log)) == 0
    assert log.event_name == "otelope.envelope"
    assert (log.severity_number, log.severity_text) == (9, "INFO")
    assert log.trace_id == record.trace_id.to_bytes(16, "big")
    assert log.span_id == record.span_id.to_bytes(8, "big")
    assert log.flags == record.trace_flags
    assert log.observed_time_unix_nano == record.observed_ns
    found = attributes(log)
    assert len(found) == len(log.attributes)
    expected = {
        "otelope.envelope.id": clean(envelope.id),
        "cloudevents.event_id": clean(envelope.id),
        "otelope.envelope.type": clean(envelope.type),
        "cloudevents.event_type": clean(envelope.type),
        "otelope.recorded_by": record.recorded_by,
    }
    said, inferred = (envelope.kind, False) if envelope.kind else kind(envelope.type)
    if said:
        expected["otelope.envelope.kind"] = said
    if inferred:
        expected["otelope.envelope.kind.inferred"] = True
    if envelope.source.name:
        expected["otelope.envelope.source.name"] = clean(envelope.source.name)
        expected["cloudevents.event_source"] = clean(envelope.source.name)
    if envelope.source.version:
        expected["otelope.envelope.source.version"] = clean(envelope.source.version)
    for key, value in {
        "otelope.envelope.parent_id": envelope.parent_id,
        "otelope.envelope.channel": record.channel
        if record.channel is not None
        else envelope.channel,
        "otelope.parent.type": record.parent_type,
        "otelope.parent.source": record.parent_source,
    }.items():
        if value is not None:
            expected[key] = clean(value)
    if record.cause_span_id:
        expected["otelope.cause.span_id"] = f"{record.cause_span_id:016x}"
    if record.parent_inferred:
        expected["otelope.parent.inferred"] = True
    if record.parent_timestamp is not None and envelope.timestamp is not None:
        assert isinstance(found.pop("otelope.parent.lag_ms"), float)
    lag = found.pop("otelope.send.lag_ms", None)
    assert lag in (None, (record.observed_ns - log.time_unix_nano) / 1e6)
    assert leaving_in(found) == record.leaving
    assert found == expected


@given(delivery_records)
def test_a_delivery_record_is_what_opentelemetry_reads(record):
    log = decoded(record)
    assert log.event_name == "otelope.delivery"
    assert log.time_unix_nano == record.started_ns
    assert log.trace_id == record.trace_id.to_bytes(16, "big")
    assert log.span_id == record.span_id.to_bytes(8, "big")
    found = attributes(log)
    found.pop("otelope.delivery.lag_ms", None)
    expected = {
        "otelope.envelope.id": clean(record.envelope.id),
        "otelope.envelope.type": clean(record.envelope.type),
        "otelope.delivery.operation": record.operation,
        "otelope.delivery.outcome": record.outcome,
        "otelope.delivery.duration_ms": (record.ended_ns - record.started_ns) / 1e6,
    }
    for key, value in {
        "otelope.envelope.channel": record.channel,
        "error.type": record.error_type,
        "otelope.delivery.attempt": record.attempt,
        "otelope.delivery.redelivered": record.redelivered,
    }.items():
        if value is not None:
            expected[key] = clean(value) if isinstance(value, str) else value
    assert leaving_in(found) == record.leaving
    assert found == expected
    assert log.body.WhichOneof("value") is None


def test_times_and_lags_of_a_delivery():
    record = delivery_record()
    log = decoded(record)
    assert attributes(log)["otelope.delivery.lag_ms"] == 5.0
    assert attributes(log)["otelope.delivery.duration_ms"] == 2.5
    assert log.observed_time_unix_nano == record.ended_ns


def test_the_lag_behind_the_parent():
    record = replace(envelope_record(), parent_timestamp=NOW - 250.5)
    assert attributes(decoded(record))["otelope.parent.lag_ms"] == 250.5


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1_760_000_000_123, 1_760_000_000_123_000_000),
        (1_760_000_000_123.456, 1_760_000_000_123_456_000),
        (None, 42),
        (float("nan"), 42),
        (-1, 42),
        (253_402_300_799_999, 42),  # the year 9999: more nanoseconds than OTLP's readers hold
    ],
)
def test_the_time_is_the_envelopes_else_when_it_was_seen(timestamp, expected):
    record = envelope_record()
    envelope = record.envelope._replace(timestamp=timestamp)
    log = decoded(replace(record, envelope=envelope, observed_ns=42))
    assert log.time_unix_nano == expected


@given(envelopes)
def test_a_body_is_always_valid_utf8_and_a_composed_one_valid_json(envelope):
    body = envelope_json(envelope)
    text = body.decode()
    if envelope.text is None:
        read = json.loads(text)
        assert clean(read["type"]) == clean(envelope.type)
        assert ("payload" in read) != ("payloadBase64" in read)


def test_a_body_is_what_was_on_the_wire():
    text = '{ "id":"ü", "odd":  [1,2] }'.encode()
    assert envelope_json(Envelope("1", "T", text=text)) == text


def test_bytes_that_are_no_utf8_are_replaced():
    assert envelope_json(Envelope("1", "T", text=b'{"a":"\xff"}')) == '{"a":"\ufffd"}'.encode()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"a": [1, None]}, {"payload": {"a": [1, None]}}),
        ("text", {"payload": "text"}),
        (b'{"a": 1.50}', {"payload": {"a": 1.5}}),
        (bytearray(b"[1]"), {"payload": [1]}),
        (memoryview(b"[1]"), {"payload": [1]}),
        (b"\x00\xff", {"payloadBase64": base64.b64encode(b"\x00\xff").decode()}),
        (b'{"a":', {"payloadBase64": base64.b64encode(b'{"a":').decode()}),
        (b'"\xff"', {"payloadBase64": base64.b64encode(b'"\xff"').decode()}),
        (datetime(2026, 1, 2, tzinfo=timezone.utc), {"payload": "2026-01-02T00:00:00Z"}),
        (UUID(int=1), {"payload": "00000000-0000-0000-0000-000000000001"}),
        ({"x": object(), "y": 1}, {"payload": {"x": {"$unencodable": "object"}, "y": 1}}),
        (2**80, {"payload": 2**80}),
        ({"a": "\ud800"}, {"payload": {"a": "\ud800"}}),
    ],
)
def test_a_composed_body(payload, expected):
    envelope = Envelope("1", "T", 5, Source("s", "v"), payload=payload)
    read = json.loads(envelope_json(envelope))
    wire = {"id": "1", "timestamp": 5, "source": {"name": "s", "version": "v"}}
    assert read == {**wire, "parentId": None, "type": "T", **expected}


def test_raw_json_is_embedded_as_it_was():
    assert b'"payload":{"a":  1.50}' in envelope_json(Envelope("1", "T", payload=b'{"a":  1.50}'))


def test_a_payload_beyond_json_becomes_a_marker():
    cyclic = []
    cyclic.append(cyclic)
    deep = []
    for _ in range(100_000):
        deep = [deep]

    class Hostile:
        def __repr__(self):
            raise AssertionError("the host's code ran")

    for payload, name in ((cyclic, "list"), (deep, "list"), (Hostile(), "Hostile")):
        read = json.loads(envelope_json(Envelope("1", "T", payload=payload)))
        assert read["payload"]["$unencodable"].endswith(name)
    while deep:  # 100,000 levels: freed one by one
        deep = deep.pop()


def test_deep_raw_json_is_kept_as_bytes():
    raw = b"[" * 100_000 + b"]" * 100_000
    read = json.loads(envelope_json(Envelope("1", "T", payload=raw)))
    assert base64.b64decode(read["payloadBase64"]) == raw


def test_the_process_record():
    log = LogRecord.FromString(process_record({"a": {1, 2}}, 7, 99))
    assert (log.event_name, log.time_unix_nano, log.observed_time_unix_nano) == (
        "otelope.process",
        7,
        7,
    )
    assert attributes(log) == {"process.pid": 99}
    assert "a" in json.loads(log.body.string_value)


values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_any_value(value):
    assert plain(AnyValue.FromString(any_value(value))) == value


@given(st.integers(0, 2**64 - 1))
def test_varints(number):
    assert read_fields(b"\x08" + varint(number)) == {1: number}


@pytest.mark.parametrize("message", [b"\x08", b"\x08\xff", b"\x0a\x05ab", b"\x0d\x00\x00\x00\x00"])
def test_what_is_no_message_is_refused(message):
    with pytest.raises(ValueError, match="protobuf"):
        read_fields(message)


@given(st.dictionaries(st.text(max_size=20), values, max_size=5), st.integers(0, 300))
def test_a_request_is_what_opentelemetry_reads(resource, count):
    resource = {clean(key): value for key, value in resource.items()}
    messages = [encode(envelope_record(body_bytes=10)) for _ in range(min(count, 5))] * (
        count // 5
    )
    request = ExportLogsServiceRequest.FromString(
        Request.of_process(resource, "1.0")([entry(message) for message in messages])
    )
    (logs,) = request.resource_logs
    assert {pair.key: plain(pair.value) for pair in logs.resource.attributes} == resource
    (scope,) = logs.scope_logs
    assert (scope.scope.name, scope.scope.version) == ("otelope", "1.0")
    assert scope.schema_url.startswith("https://opentelemetry.io/schemas/")
    assert list(scope.log_records) == [LogRecord.FromString(message) for message in messages]
