"""The queue's bound and the seam for a durable backlog."""

from __future__ import annotations

import gc
import threading
import tracemalloc

from collections import deque

from msgspec.structs import replace

from otelope.export.batching import Batch, Queue
from otelope.export.record import weight
from otelope.export.transport import Unavailable
from otelope.model.envelope import Envelope
from tests.export.made import delivery_record, envelope_record


def test_the_weight_is_about_the_memory():
    def measured(make, count=2_000):
        records = []
        gc.collect()
        tracemalloc.start()
        records.extend(make() for _ in range(count))
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size / count, sum(map(weight, records)) / count

    for make in (envelope_record, lambda: envelope_record(body_bytes=8_500)):
        real, estimated = measured(make)
        assert 0.6 * real < estimated < 1.6 * real


def test_a_record_weighs_the_same_when_it_leaves():
    payload = bytearray(10)
    record = replace(envelope_record(), envelope=Envelope("1", "T", payload=payload))
    queue = Queue(100_000, lambda: None, weight)
    queue.put(record)
    payload.extend(b"x" * 1_000)
    queue.put(delivery_record())
    while taken := queue.take():
        queue.release(taken[1])
    assert (queue.bytes, queue.waiting, len(queue)) == (0, 0, 0)


def test_the_bound_counts_what_is_not_released_yet():
    record = envelope_record()
    queue = Queue(weight(record) * 3, lambda: None, weight)
    for _ in range(5):
        queue.put(record)
    assert (queue.accepted, queue.refused) == (3, 2)
    _, size = queue.take()
    queue.put(record)
    assert queue.refused == 3  # taken, but still on its way
    queue.release(size)
    queue.put(record)
    assert (queue.accepted, queue.refused) == (4, 3)


def test_it_wakes_once_for_the_first_record_and_once_for_the_threshold():
    woken = []
    record = envelope_record()
    queue = Queue(10**9, lambda: woken.append(len(queue)), weight)
    for _ in range(10):
        queue.put(record)
    assert woken == [1]
    queue.wake_at(weight(record) * 20)
    for _ in range(30):
        queue.put(record)
    assert woken == [1, 20]


def test_no_byte_is_lost_or_invented_between_threads():
    queue = Queue(10**12, lambda: None, weight)
    records = [envelope_record(body_bytes=size) for size in range(50)]

    def put():
        for _ in range(100):
            for record in records:
                queue.put(record)

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.accepted == len(queue) == 4 * 100 * 50
    assert queue.bytes == 4 * 100 * sum(map(weight, records))


class Disk:
    """A durable backlog, as a spool is one: what it holds is not lost with the process."""

    durable = True

    def __init__(self):
        self.waiting: deque[Batch] = deque()
        self.held: dict[int, Batch] = {}

    def __len__(self):
        return len(self.waiting)

    def keep(self, batch):
        self.waiting.append(batch)
        self.held[batch.number] = batch

    def next(self):
        return self.waiting.popleft() if self.waiting else None

    def forget(self, batch):
        self.held.pop(batch.number, None)


class Switch:
    """A transport that is told whether the collector is there."""

    def __init__(self):
        self.there = False
        self.requests = []

    def send(self, request):
        if not self.there:
            raise Unavailable("switched off")
        self.requests.append(request)
        return 0

    def close(self):
        pass


def test_during_an_outage_a_durable_backlog_takes_everything_out_of_memory(make_pipeline):
    disk, switch = Disk(), Switch()
    pipeline = make_pipeline(backlog=lambda: disk, connect=lambda: switch, export_interval=0.01)
    for _ in range(3):
        pipeline(envelope_record())
        assert not pipeline.flush(0.3)
    assert pipeline.counters == (3, 0, 3, 0)
    assert pipeline._exporter.queue.bytes == 0
    assert sum(len(batch.entries) for batch in disk.held.values()) == 3

    switch.there = True
    assert pipeline.flush(10)
    assert pipeline.counters == (3, 3, 0, 0)
    assert disk.held == {}


def test_at_the_end_what_is_on_disk_need_not_be_waited_for(make_pipeline):
    disk, switch = Disk(), Switch()
    pipeline = make_pipeline(backlog=lambda: disk, connect=lambda: switch)
    pipeline(envelope_record())
    assert not pipeline.shutdown(5)
    assert pipeline.counters == (1, 0, 1, 0)
    assert [len(batch.entries) for batch in disk.held.values()] == [1]


def test_what_an_earlier_process_left_on_disk_is_sent(make_pipeline):
    left, switch = Disk(), Switch()
    switch.there = True
    left.keep(Batch([b"\x12\x00"], 0, -1, spooled=True))
    pipeline = make_pipeline(backlog=lambda: left, connect=lambda: switch)
    pipeline(envelope_record())
    assert pipeline.flush(5)
    assert left.held == {}
    assert len(switch.requests) >= 2
