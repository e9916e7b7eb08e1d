"""TLS and mutual TLS over gRPC, with certificates made here."""

from __future__ import annotations

import datetime as dt
import ipaddress

import grpc
import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.export.collectors import GrpcCollector
from tests.export.made import envelope_record


def make(directory, name, issuer=None):
    """Writes NAME.pem and NAME.key; returns what signs others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = issuer or (subject, key)
    now = dt.datetime.now(dt.timezone.utc)
    local = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(local), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )
    (directory / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return subject, key


@pytest.fixture
def secured(tmp_path, monkeypatch):
    """A collector that asks its clients for a certificate."""
    authority = make(tmp_path, "ca")
    make(tmp_path, "server", authority)
    make(tmp_path, "client", authority)
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
