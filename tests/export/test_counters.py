"""The counters as OpenTelemetry's metrics see them, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from pathlib import Path


PROGRAM = """
import json
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from msgspec.structs import replace

from otelope.core.settings import Settings
from otelope.export.pipeline import Pipeline
from tests.export.made import ended_span, envelope_record, kind

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
for _ in range(2):  # the second takes the first one's place
    pipeline = Pipeline.of_records(Settings(), dict, kind, dict)
    for _ in range(3):
        pipeline(envelope_record())
    pipeline(replace(envelope_record(), trace_id=None))
    pipeline.flush(10)
spans = Pipeline.of_spans(Settings(), dict)
for _ in range(2):
    spans(ended_span())
spans.flush(10)
found = {
    metric.name: metric.data.data_points[0].value
    for resource in reader.get_metrics_data().resource_metrics
    for scope in resource.scope_metrics
    for metric in scope.metrics
}
print(json.dumps(found))
"""


def test_the_counters_are_metrics(collector):
    root = Path(__file__).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(answer.stdout) == {
        "otelope.records.seen": 4,
        "otelope.records.stored": 3,
        "otelope.records.spooled": 0,
        "otelope.records.dropped": 1,
        "otelope.spans.seen": 2,
        "otelope.spans.stored": 2,
        "otelope.spans.spooled": 0,
        "otelope.spans.dropped": 0,
    }
