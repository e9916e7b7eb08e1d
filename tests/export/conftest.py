from __future__ import annotations

import pytest

from examples.running.ports import free_port
from otelope.core.settings import Settings
from otelope.export.pipeline import Pipeline
from otelope.export.signals import LOGS
from tests.export.collectors import GrpcCollector, HttpCollector
from tests.export.made import kind
from tests.export.programs import programs


@pytest.fixture(params=[GrpcCollector, HttpCollector], ids=["grpc", "http"])
def collector(request, monkeypatch):
    """A collector that the environment points to."""
    collector = request.param()
    collector.start()
    point_to(monkeypatch, collector)
    yield collector
    collector.stop()


def point_to(monkeypatch, collector):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", collector.protocol)


@pytest.fixture
def make_pipeline():
    """Makes pipelines, and ends them with the test."""
    made = []

    def make(resource=None, status=dict, kind_of=kind, signal=LOGS, **settings):
        options = {key: settings.pop(key) for key in ("connect",) if key in settings}
        settings = Settings(**{"export_interval": 0.05, **settings})
        told = {"service.name": "shop", "service.version": "1.2.3"}
        pipeline = (
            Pipeline.of_records(settings, lambda: resource or told, kind_of, status, **options)
            if signal is LOGS
            else Pipeline.of_spans(settings, lambda: resource or told, **options)
        )
        made.append(pipeline)
        return pipeline

    yield make
    for pipeline in made:
        pipeline.shutdown(0.5)


@pytest.fixture
def run_program(collector, tmp_path):
    """Runs programs that export to the collector."""
    with programs(tmp_path) as run:
        yield run


@pytest.fixture
def unused_port():
    return free_port()
