"""TLS and mutual TLS over gRPC, with certificates made here."""

from __future__ import annotations

import grpc
import pytest

from tests.certificates import make_certificate
from tests.export.collectors import GrpcCollector
from tests.export.made import envelope_record


@pytest.fixture
def secured(tmp_path, monkeypatch):
    """A collector that asks its clients for a certificate."""
    authority = make_certificate(tmp_path, "ca")
    make_certificate(tmp_path, "server", authority)
    make_certificate(tmp_path, "client", authority)
    credentials = grpc.ssl_server_credentials(
        [((tmp_path / "server.key").read_bytes(), (tmp_path / "server.pem").read_bytes())],
        (tmp_path / "ca.pem").read_bytes(),
        require_client_auth=True,
    )
    collector = GrpcCollector()
    collector.start(credentials=credentials)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(tmp_path / "client.key"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(tmp_path / "client.pem"))
    yield collector
    collector.stop()


def test_mutual_tls(secured, make_pipeline):
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert pipeline.flush(10)
    assert len(secured.ids) == 1


def test_a_certificate_that_is_mounted_late(secured, make_pipeline, monkeypatch, tmp_path):
    late = tmp_path / "late.pem"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(late))
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert not pipeline.flush(0.5)
    assert pipeline.failure == (
        f"{late} cannot be read (No such file or directory); "
        "OTEL_EXPORTER_OTLP_CERTIFICATE names it"
    )
    late.write_bytes((tmp_path / "ca.pem").read_bytes())
    assert pipeline.flush(10)
    assert len(secured.ids) == 1
