"""The files of collector-config on the real collector: they are valid, and do what they say."""

from __future__ import annotations

import os
import secrets
import subprocess

from pathlib import Path

import pytest

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otelope.model.identity import new_id
from tests.certificates import make_certificate
from tests.e2e.pipeline.application import Load, settle
from tests.e2e.pipeline.backend import CONFIGURATIONS, Backend
from tests.e2e.pipeline.sending import send, send_spans
from tests.packaging.test_collector_config import FILES
from tests.store.made import envelope_record, request


pytestmark = pytest.mark.pipeline

# What each overlay lies upon; all else stands alone.
OVERLAYS = {
    "traces-to-clickhouse": ("laptop", "production", "two-tier-writer"),
    "tls": ("production", "two-tier-edge"),
    "tail-sampling": ("production", "two-tier-writer"),
}
ALONE = sorted({path.stem for path in FILES} - set(OVERLAYS))
COMBINATIONS = [
    *((name,) for name in ALONE),
    *((base, overlay) for overlay, bases in OVERLAYS.items() for base in bases),
    ("production", "traces-to-clickhouse", "tail-sampling", "tls"),
]


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_it_is_valid(names: tuple[str, ...], collector_program: Path, tmp_path: Path):
    files = [f"--config={CONFIGURATIONS / name}.yaml" for name in names]
    done = subprocess.run(
        [collector_program, "validate", *files],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLLECTOR_QUEUE_DIR": str(tmp_path)},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_tail_sampling_keeps_what_failed_and_every_record(backend: Backend):
    backend.start_collector(
        "production", "traces-to-clickhouse", "tail-sampling", SAMPLING_WAIT="1s"
    )
    # 10 % of 500 are drawn: that all or none of them are has a probability of 1e-22.
    fine, failed = ([secrets.token_bytes(16) for _ in range(count)] for count in (500, 50))
    ids = [new_id() for _ in range(100)]
    send(backend.endpoint, request(*map(envelope_record, ids)))
    send_spans(backend.endpoint, spans(fine, Status.STATUS_CODE_OK))
    send_spans(backend.endpoint, spans(failed, Status.STATUS_CODE_ERROR))

    def kept() -> set[str] | None:
        found = {row[0] for row in backend.rows("SELECT DISTINCT TraceId FROM otel_traces")}
        # Decided in the order of their arrival.
        return found if {each.hex() for each in failed} <= found else None

    found = backend.processes.wait_for(kept, "the failed traces", 30)
    assert 0 < len(found) - len(failed) < len(fine)
    backend.wait_for_records(len(ids))
    assert {row[0] for row in backend.rows("SELECT id FROM envelopes")} == set(ids)


def test_tls_lets_in_who_has_a_token(backend: Backend, tmp_path: Path):
    authority = make_certificate(tmp_path, "ca")
    make_certificate(tmp_path, "server", authority)
    # The one that goes, and the one that comes.
    (tmp_path / "tokens").write_text("old-token\nnew-token\n", encoding="ascii")
    backend.start_collector(
        "production",
        "tls",
        COLLECTOR_TLS_CERT=str(tmp_path / "server.pem"),
        COLLECTOR_TLS_KEY=str(tmp_path / "server.key"),
        COLLECTOR_TOKENS=str(tmp_path / "tokens"),
    )
    secured = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint.replace("http://", "https://"),
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem"),
    }
    made = {
        each
        for token in ("old-token", "new-token")
        for each in Load(
            backend, 1, **secured, OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{token}"
        ).finish()
    }
    settle(backend, made)
    stranger = Load(backend, 0.1, **secured, OTELOPE_SHUTDOWN_TIMEOUT="1")
    backend.processes.wait_for_end("load", 30)
    assert "UNAUTHENTICATED" in backend.processes.history("load")
    assert not stranger.ids() & {row[0] for row in backend.rows("SELECT id FROM envelopes")}


def spans(trace_ids: list[bytes], status: int) -> ExportTraceServiceRequest:
    """A trace of one span for each id."""
    made = ExportTraceServiceRequest()
    scope = made.resource_spans.add().scope_spans.add()
    for trace_id in trace_ids:
        scope.spans.append(
            Span(
                trace_id=trace_id,
                span_id=secrets.token_bytes(8),
                name="send orders.events",
                start_time_unix_nano=1_795_442_587_000_000_000,
                end_time_unix_nano=1_795_442_587_001_000_000,
                status=Status(code=status),
            )
        )
    return made
