"""Where stitched traces are sent, with OpenTelemetry's own exporters and a real endpoint."""

from __future__ import annotations

import socket

from contextlib import closing
from uuid import uuid4

import pytest

from otelope.model.identity import stitched_trace_id
from otelope.stitch import CannotSendError, Destination, chain_spans
from otelope.store.trees import assemble, envelope_node


TRACES = "OTEL_EXPORTER_OTLP_TRACES_"
GENERAL = "OTEL_EXPORTER_OTLP_"
STITCH = "OTELOPE_STITCH_ENDPOINT"
GRPC, HTTP = "grpc", "http/protobuf"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setenv(f"{TRACES}TIMEOUT", "1")


@pytest.fixture
def nobody():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def wide(count):
    """A tree of one root and its children; its root's id."""
    root, *ids = (str(uuid4()) for _ in range(count))
    rows = [
        [each, "T", "", False, 1.75e12, "s", "1", parent, False, None, "", "", "00", "01", "s"]
        for each, parent in ((root, ""), *((each, root) for each in ids))
    ]
    return root, assemble(root, {row[0]: envelope_node(row) for row in rows}, [])


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_all_spans_of_a_large_chain_arrive_and_twice_does_no_harm(receiver, protocol):
    root, tree = wide(2500)
    where = receiver.grpc if protocol == GRPC else receiver.http
    destination = Destination(where, {f"{GENERAL}PROTOCOL": protocol})

    assert destination.send(chain_spans(tree)) == 2500
    assert destination.send(chain_spans(tree)) == 2500
    destination.close()

    assert len(receiver.spans(stitched_trace_id(root))) == 2500


@pytest.mark.parametrize(
    ("url", "environ", "where"),
    [
        (None, {}, "http://127.0.0.1:4317"),
        (None, {f"{GENERAL}ENDPOINT": "http://a:1"}, "http://a:1"),
        (
            None,
            {f"{GENERAL}ENDPOINT": "http://a:1", f"{TRACES}ENDPOINT": "http://b:2"},
            "http://b:2",
        ),
        (None, {f"{TRACES}ENDPOINT": "http://b:2", STITCH: "http://c:3"}, "http://c:3"),
        ("http://d:4", {STITCH: "http://c:3"}, "http://d:4"),
    ],
)
def test_who_says_where(url, environ, where):
    assert Destination(url, environ).where == where


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        (STITCH, ""),
        (STITCH, "/v1/traces"),
        (f"{GENERAL}ENDPOINT", "/"),
        (f"{TRACES}ENDPOINT", "/v1/traces"),
    ],
)
def test_over_http_only_the_variable_for_traces_has_the_path(receiver, variable, path):
    root, tree = wide(1)
    destination = Destination(
        environ={f"{TRACES}PROTOCOL": HTTP, variable: f"{receiver.http}{path}"}
    )

    assert destination.send(chain_spans(tree)) == 1
    assert len(receiver.spans(stitched_trace_id(root))) == 1


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_where_nobody_is_the_error_says_so(nobody, protocol):
    destination = Destination(nobody, {f"{TRACES}PROTOCOL": protocol})

    with pytest.raises(CannotSendError) as raised:
        destination.send(chain_spans(wide(1)[1]))

    assert str(raised.value) == f"no spans are taken at {nobody}: Connection refused"


def test_a_refusal_is_told_with_its_reason(receiver):
    environ = {f"{TRACES}PROTOCOL": HTTP, f"{TRACES}ENDPOINT": f"{receiver.http}/nowhere"}

    with pytest.raises(CannotSendError, match=r"/nowhere: .*404"):
        Destination(environ=environ).send(chain_spans(wide(1)[1]))


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_what_is_closed_takes_nothing(receiver, protocol):
    where = receiver.grpc if protocol == GRPC else receiver.http
    destination = Destination(where, {f"{TRACES}PROTOCOL": protocol})
    destination.close()

    with pytest.raises(CannotSendError, match="no spans are taken at"):
        destination.send(chain_spans(wide(1)[1]))


@pytest.mark.parametrize("url", ["jaeger:4317", "ftp://jaeger:4317", "http://", "http://a:99999"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(CannotSendError, match="is no address of an OTLP endpoint"):
        Destination(url, {})


def test_an_unknown_protocol_is_refused():
    with pytest.raises(CannotSendError, match="'http/json' is no protocol"):
        Destination("http://a:1", {f"{GENERAL}PROTOCOL": "http/json"})
