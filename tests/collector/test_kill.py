from __future__ import annotations

import grpc
import pytest

from otelope.model.identity import new_id
from otelope.store import open_store, questions
from tests.collector.running import running
from tests.store.made import delivery_record, envelope_record, request


BLOCK = 600  # records: a block of its own
IN_FLIGHT = 4
KILLS = 3


def block():
    """A request, and the ids it holds."""
    ids = [new_id() for _ in range(BLOCK // 2)]
    records = [envelope_record(each, type="Kept") for each in ids]
    records += [delivery_record(each) for each in ids]
    return ids, request(*records).SerializeToString()


def write_until_killed(daemon, blocks):
    """Send the blocks, kill -9 in the midst of it; those acknowledged, those not."""
    acknowledged, refused = [], []
    with daemon.export() as export:
        calls = []
        for position, (ids, body) in enumerate(blocks):
            calls.append((ids, body, export.future(body, timeout=60)))
            if position == len(blocks) // 2:
                calls[position - IN_FLIGHT][2].exception()
                daemon.process.kill()
        for ids, body, call in calls:
            if call.exception() is None:
                acknowledged.append(ids)
            else:
                assert call.code() is grpc.StatusCode.UNAVAILABLE
                refused.append((ids, body))
    daemon.process.wait(60)
    return acknowledged, refused


@pytest.mark.slow
def test_killed_while_writing_it_loses_nothing_that_it_acknowledged(tmp_path):
    expected, waiting = set(), []
    for _ in range(KILLS):
        with running(tmp_path) as daemon:
            acknowledged, waiting = write_until_killed(daemon, waiting + [
                block() for _ in range(20)
            ])  # fmt: skip
        assert acknowledged
        assert waiting
        expected.update(each for ids in acknowledged for each in ids)

        with open_store(str(tmp_path)) as store:
            stored = ids_in(store, "envelopes", "id")
            assert expected <= stored
            assert expected <= ids_in(store, "deliveries", "envelope_id")

    with running(tmp_path) as daemon:
        with daemon.export() as export:
            for ids, body in waiting:
                export(body, timeout=60)
                expected.update(ids)
        assert daemon.stop() == (0, "")

    with open_store(str(tmp_path)) as store:
        for table, column in (("envelopes", "id"), ("deliveries", "envelope_id")):
            assert ids_in(store, table, column) == expected
        # A block that was committed before the kill, but not acknowledged, was sent again: it
        # has its token, so it counts once in the base table too.
        assert questions.health(store)["otel_logs"]["rows"] == 2 * len(expected)
        assert sum(each["count"] for each in questions.interactions(store)) == pytest.approx(
            len(expected), rel=0.05
        )


def ids_in(store, table, column):
    question = f"SELECT DISTINCT {column} FROM {table}"  # noqa: S608 - our own
    answer = store._engine.read(question, {})
    return {line[2:-2].decode() for line in answer.splitlines()}
