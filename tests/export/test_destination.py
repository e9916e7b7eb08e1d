"""OpenTelemetry's variables, as OpenTelemetry's specification and SDK read them."""

from __future__ import annotations

import pytest

from otelope.export.destination import destination
from otelope.export.signals import LOGS, TRACES


P = "OTEL_EXPORTER_OTLP_"


def read(signal=LOGS, **variables):
    return destination({P + name: value for name, value in variables.items()}, signal)


def test_nothing_set_is_a_local_collector_over_grpc():
    where = destination({})
    assert (where.protocol, where.endpoint, where.secure) == ("grpc", "localhost:4317", False)
    assert (where.timeout, where.compressed, where.headers) == (10.0, False, ())


@pytest.mark.parametrize(
    ("variables", "endpoint", "secure"),
    [
        ({"ENDPOINT": "http://c:4317"}, "c:4317", False),
        ({"ENDPOINT": "https://c:4317"}, "c:4317", True),
        ({"ENDPOINT": "https://c:4317", "INSECURE": "true"}, "c:4317", True),
        ({"ENDPOINT": "http://c:4317/path"}, "c:4317", False),
        ({"ENDPOINT": "c:4317"}, "c:4317", True),
        ({"ENDPOINT": "c:4317", "INSECURE": "True"}, "c:4317", False),
        ({"ENDPOINT": "c:4317", "LOGS_INSECURE": "true"}, "c:4317", False),
        ({"ENDPOINT": "http://c:1", "LOGS_ENDPOINT": "https://d:2"}, "d:2", True),
        ({"ENDPOINT": "http://[::1]:4317"}, "[::1]:4317", False),
        ({"ENDPOINT": "http://[::1"}, "[::1", False),
        ({"ENDPOINT": "unix:///run/otel.sock"}, "unix:///run/otel.sock", False),
    ],
)
def test_endpoints_of_grpc(variables, endpoint, secure):
    where = read(**variables)
    assert (where.endpoint, where.secure) == (endpoint, secure)


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, "http://localhost:4318/v1/logs"),
        ({"ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/logs"),
        ({"LOGS_ENDPOINT": "https://c/my/logs"}, "https://c/my/logs"),
        ({"ENDPOINT": "c:4318"}, "http://c:4318/v1/logs"),
    ],
)
def test_endpoints_of_http(variables, endpoint):
    assert read(PROTOCOL="http/protobuf", **variables).endpoint == endpoint


def test_what_is_set_for_logs_comes_first():
    where = read(
        HEADERS="a=1",
        LOGS_HEADERS="b=2,c=%203",
        TIMEOUT="1",
        LOGS_TIMEOUT="2.5",
        COMPRESSION="none",
        LOGS_COMPRESSION="gzip",
        CERTIFICATE="/ca",
        LOGS_CERTIFICATE="/own-ca",
        CLIENT_KEY="/key",
        CLIENT_CERTIFICATE="/certificate",
        PROTOCOL="grpc",
        LOGS_PROTOCOL="http/protobuf",
    )
    assert where.headers == (("b", "2"), ("c", "3"))
    assert (where.timeout, where.compressed, where.protocol) == (2.5, True, "http/protobuf")
    assert (where.certificate, where.client_key) == ("/own-ca", "/key")
    assert where.client_certificate == "/certificate"


def test_what_is_set_for_traces_is_for_spans_alone():
    variables = {
        "ENDPOINT": "http://c:4318",
        "TRACES_ENDPOINT": "https://t/my/traces",
        "TRACES_TIMEOUT": "3",
        "LOGS_TIMEOUT": "2",
        "TRACES_HEADERS": "a=1",
        "PROTOCOL": "http/protobuf",
    }
    found = {signal: read(signal, **variables) for signal in (LOGS, TRACES)}
    assert found[LOGS].endpoint == "http://c:4318/v1/logs"
    assert (found[LOGS].timeout, found[LOGS].headers) == (2.0, ())
    assert found[TRACES].endpoint == "https://t/my/traces"
    assert (found[TRACES].timeout, found[TRACES].headers) == (3.0, (("a", "1"),))
    del variables["TRACES_ENDPOINT"]
    assert read(TRACES, **variables).endpoint == "http://c:4318/v1/traces"


@pytest.mark.parametrize(
    ("variables", "field", "value", "message"),
    [
        ({"PROTOCOL": "http/json"}, "protocol", "http/protobuf", "set grpc or http/protobuf"),
        ({"PROTOCOL": "thrift"}, "protocol", "grpc", "set grpc or http/protobuf"),
        ({"COMPRESSION": "brotli"}, "compressed", False, "set gzip or none"),
        ({"TIMEOUT": "soon"}, "timeout", 10.0, "no positive number"),
        ({"TIMEOUT": "-1"}, "timeout", 10.0, "no positive number"),
        ({"PROTOCOL": "http/protobuf", "ENDPOINT": "c"}, "secure", False, "Write http://"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(variables, field, value, message, caplog):
    assert getattr(read(**variables), field) == value
    (record,) = caplog.records
    assert message in record.getMessage()
