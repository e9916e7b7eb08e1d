"""What a record costs that is on disk before its send returns, beside a bare write to disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time

from pathlib import Path
from typing import Any

from benchmarks.export import RESOURCE, Sink, record
from otelope.core.records import Record
from otelope.core.settings import Settings
from otelope.export.pipeline import Pipeline
from otelope.export.segments import synchronize


ROUNDS = 9
RECORDS = 200
THREADS = 8


def ahead(folder: str) -> Pipeline[Record]:
    """A pipeline that writes to this directory, and exports when a batch is full."""
    settings = Settings(export_interval=600, spool_dir=folder, durable="write-ahead")
    return Pipeline.of_records(
        settings, lambda: RESOURCE, lambda _: ("event", True), dict, connect=Sink
    )


def bare(folder: str, size: int) -> float:
    """To append so many bytes to a file and wait for the disk, in µs."""
    file = os.open(Path(folder) / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    written = os.urandom(size)
    try:
        started = time.perf_counter_ns()
        for _ in range(RECORDS):
            os.write(file, written)
            synchronize(file)
        return (time.perf_counter_ns() - started) / RECORDS / 1000
    finally:
        os.close(file)


def taken(pipeline: Pipeline[Record], threads: int) -> float:
    """To hand in a record, in µs, while so many threads do."""
    records = [[record() for _ in range(RECORDS)] for _ in range(threads)]

    def put(own: list[Any]) -> None:
        for made in own:
            pipeline(made)

    workers = [threading.Thread(target=put, args=(own,)) for own in records]
    started = time.perf_counter_ns()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.perf_counter_ns() - started) / RECORDS / threads / 1000


def run() -> list[dict[str, Any]]:
    """Ratios to what the disk needs for as many bytes."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = ahead(folder)
        pipeline(record())
        (segment,) = Path(folder).glob("*/*/*.otlp")
        size = segment.stat().st_size
        rounds = [
            (bare(folder, size), taken(pipeline, 1), taken(pipeline, THREADS))
            for _ in range(ROUNDS)
        ]
        pipeline.shutdown(5)
    disk, alone, together = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [
        {
            "name": "durable_record",
            "ratio": round(alone / disk, 3),
            "unit": "of a bare write that waits for the disk",
            "goal": 1.5,
            "note": f"{alone:.0f} µs, {disk:.0f} of them the disk's",
        },
        {
            "name": f"durable_record_{THREADS}_threads",
            "ratio": round(together / alone, 3),
            "unit": "of one thread",
            "goal": None,
            "note": f"{together:.0f} µs",
        },
    ]
