"""`otelope stitch` and `otelope up --stitch`, between two real `otelope up`."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from otelope.model.identity import stitched_trace_id
from tests.cli.conftest import Up, environment, program, running_up
from tests.cli.story import LINEAGE, order, walk
from tests.store.made import delivery_record, envelope_record, request


ROOT = order()["id"]
TRACE = f"{stitched_trace_id(ROOT):032x}"
SPANS = 16
SOON = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
JAEGER = "http://127.0.0.1:16686"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """An OTLP endpoint whose spans can be asked for."""
    with running_up(tmp_path_factory.mktemp("target") / "data") as running:
        yield running


def spans_at(up: Up, trace_id: str):
    with urllib.request.urlopen(f"{up.url}/api/spans/{trace_id}", timeout=30) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def test_the_trace_is_sent_and_named(up, target, otelope):
    to = f"http://{target.grpc}"
    done = otelope("stitch", ROOT, "--store", up.url, "--to", to)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"trace {TRACE}, {SPANS} spans, is at {to}\n"
    spans = spans_at(target, TRACE)
    assert len(spans) == SPANS
    assert {span["attributes"]["otelope.stitched"] for span in spans} == {"true"}
    assert {span["attributes"]["otelope.envelope.id"] for span in spans} == {
        node["id"] for node in walk(order())
    }
    assert [span["span_id"] for span in spans if not span["parent_span_id"]] == [
        order()["span_id"]
    ]


def test_from_any_id_of_the_chain_over_http_as_json(up, target, otelope):
    done = otelope(
        "stitch", f"{LINEAGE}-a000-000000000006", "--json", "--store", up.url,
        OTELOPE_STITCH_ENDPOINT=target.url, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTELOPE_JAEGER_URL=JAEGER,
    )  # fmt: skip

    assert json.loads(done.stdout) == {
        "trace_id": TRACE,
        "spans": SPANS,
        "to": target.url,
        "truncated": False,
        "trace_url": f"{JAEGER}/trace/{TRACE}",
    }
    assert len(spans_at(target, TRACE)) == SPANS


def test_the_page_in_jaeger_follows(up, target, otelope):
    to = f"http://{target.grpc}"
    done = otelope("stitch", ROOT, "--store", up.url, "--to", to, OTELOPE_JAEGER_URL=JAEGER)

    assert done.stdout.splitlines()[1:] == [f"{JAEGER}/trace/{TRACE}"]


def test_a_data_directory_is_stitched_as_well(tmp_path, target, otelope):
    envelope = str(uuid4())
    with running_up(tmp_path / "stopped") as running:
        running.send(request(envelope_record(envelope)).SerializeToString())
        running.stop()

    to = f"http://{target.grpc}"
    done = otelope("stitch", envelope, "--store", str(running.data), "--to", to)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(spans_at(target, f"{stitched_trace_id(envelope):032x}")) == 1


def test_what_nobody_knows_is_not_sent(up, otelope):
    done = otelope("stitch", "unknown-id", "--store", up.url, "--to", "http://127.0.0.1:1")

    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing is known of 'unknown-id'" in done.stderr


def test_where_nobody_takes_it_the_user_is_told(up, otelope):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    done = otelope("stitch", ROOT, "--store", up.url, "--to", nobody, **SOON)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"otelope: no spans are taken at {nobody}: Connection refused\n"


def test_what_is_no_address_is_refused(up, otelope):
    done = otelope("stitch", ROOT, "--store", up.url, "--to", "jaeger:4317")

    assert done.returncode == 2
    assert "'jaeger:4317' is no address of an OTLP endpoint" in done.stderr


def test_up_stitches_what_is_in_pieces(tmp_path, target):
    envelope = str(uuid4())
    trace_id = f"{stitched_trace_id(envelope):032x}"
    options = ("--stitch", "--stitch-after", "0s", "--stitch-to", f"http://{target.grpc}")
    with running_up(tmp_path / "data", *options) as running:
        apart = envelope_record(envelope, trace_id=1)
        running.send(request(apart, delivery_record(envelope)).SerializeToString())
        deadline = time.monotonic() + 30
        while len(spans := spans_at(target, trace_id)) < 2:
            assert time.monotonic() < deadline, spans
            time.sleep(0.1)
        running.stop()


def test_up_stops_though_nobody_takes_what_it_stitches(tmp_path):
    envelope = str(uuid4())
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        to = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = ("--stitch", "--stitch-after", "0s", "--stitch-to", to)
        with running_up(tmp_path / "data", *options) as running:
            apart = envelope_record(envelope, trace_id=1)
            running.send(request(apart, delivery_record(envelope)).SerializeToString())
            silent.settimeout(30)
            silent.accept()[0].close()
            started = time.monotonic()
            running.stop()
            assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--stitch-to", "http://a:1"), "add --stitch"),
        (("--stitch-after", "5s"), "add --stitch"),
        (("--stitch",), "would come to this otelope itself, http://127.0.0.1:4317"),
        (("--stitch", "--stitch-to", "nowhere"), "is no address"),
        (("--stitch", "--stitch-after", "soon"), "'soon' is no length of time"),
    ],
)
def test_options_of_up_that_make_no_sense_are_refused(tmp_path, options, complaint):
    done = subprocess.run(
        program("up", "--data", str(tmp_path / "data"), *options),
        check=False, capture_output=True, text=True, env=environment(), timeout=60,
    )  # fmt: skip

    assert done.returncode != 0
    assert complaint in done.stderr
    assert not Path(tmp_path / "data").exists()
