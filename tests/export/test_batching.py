"""The queue's bound."""

from __future__ import annotations

import gc
import threading
import tracemalloc

from msgspec.structs import replace

from otelope.export.batching import Queue
from otelope.export.record import weight
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
