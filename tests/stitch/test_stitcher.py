"""What `otelope up --stitch` does, on a real store and with a real OTLP endpoint."""

from __future__ import annotations

import threading

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from otelope.model.identity import identify, new_id, stitched_trace_id
from otelope.stitch import CannotSendError, Destination, Stitcher
from tests.stitch.conftest import awaited
from tests.store.made import delivery_record, envelope_record, keep


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    # What these tests store is visible when they go on.
    monkeypatch.setattr("otelope.stitch.stitcher._HOLD_BACK", 0)


@pytest.fixture
def stitcher(store, receiver):
    return Stitcher(store, Destination(receiver.grpc, {}), after=0)


def pair(store, **more):
    """An envelope and its handling in another trace."""
    envelope = str(uuid4())
    keep(store, envelope_record(envelope, trace_id=1 + uuid4().int // 2, **more))
    keep(store, delivery_record(envelope))
    return envelope


def whole(store):
    root = new_id()
    child = new_id(root)
    keep(store, envelope_record(root), envelope_record(child, root), delivery_record(root))
    return root


def stored_ago(store, minutes, envelope_id, trace_id, parent_id=""):
    """As if it had been stored before."""
    store._engine.run(
        "INSERT INTO envelopes (id, type, ts, parent_id, trace_id, span_id, inserted, version) "  # noqa: S608 - our own ids
        f"VALUES ('{envelope_id}', 'T', now64(9), '{parent_id}', '{trace_id:032x}', "
        f"'{identify(envelope_id).span_id:016x}', now64(6) - toIntervalMinute({minutes}), 2)"
    )


def seen(stitcher):
    """All that is stored now has been looked at, and sent."""
    position = int(stitcher._store.ask("stitch_clock")[0][0])
    sent = []
    while (stitcher._position or 0) < position or stitcher._waiting:
        sent.append(awaited(lambda: [stitcher.tick()])[0])
    return sum(sent)


def test_what_is_in_pieces_is_stitched_and_what_is_whole_is_not(store, receiver, stitcher):
    apart, one = pair(store), whole(store)

    assert seen(stitcher) == 1

    names = [span["name"] for span in receiver.spans(stitched_trace_id(apart))]
    assert sorted(names) == ["process orders.events", "send orders.events"]
    assert receiver.spans(stitched_trace_id(one)) == []


def test_a_child_in_another_trace_is_a_piece(store, receiver, stitcher):
    root = str(uuid4())
    keep(store, envelope_record(root), envelope_record(str(uuid4()), root))

    assert seen(stitcher) == 1
    assert len(receiver.spans(stitched_trace_id(root))) == 2


def test_pieces_below_a_root_that_nobody_recorded_are_one_chain(store, receiver, stitcher):
    lost = str(uuid4())
    keep(store, envelope_record(str(uuid4()), lost), envelope_record(str(uuid4()), lost))

    assert seen(stitcher) == 1
    assert len(receiver.spans(stitched_trace_id(lost))) == 3


def test_a_chain_that_grows_is_stitched_again_and_only_then(store, receiver, stitcher):
    envelope = pair(store)
    assert seen(stitcher) == 1
    assert seen(stitcher) == 0

    # In the trace of its parent: nothing but what is known of the chain says that it is in pieces.
    child = str(uuid4())
    keep(store, envelope_record(child, envelope, trace_id=identify(envelope).trace_id))
    assert seen(stitcher) == 1
    assert len(receiver.spans(stitched_trace_id(envelope))) == 3


def test_many_pieces_of_one_chain_are_sent_once(store, receiver, stitcher):
    ids = [str(uuid4()) for _ in range(30)]
    parents = ["", *ids]
    for each, parent in zip(ids, parents, strict=False):
        keep(store, envelope_record(each, parent))

    assert seen(stitcher) == 1
    assert len(receiver.spans(stitched_trace_id(ids[0]))) == 30


def test_nothing_is_sent_before_it_is_quiet(store, receiver):
    stitcher = Stitcher(store, Destination(receiver.grpc, {}), after=3600)
    envelope = pair(store)

    awaited(lambda: (stitcher.tick() == 0) and stitcher._waiting)

    assert receiver.spans(stitched_trace_id(envelope)) == []


@pytest.mark.parametrize(("minutes", "sent"), [(30, 1), (90, 0)])
def test_it_looks_back_an_hour(store, stitcher, minutes, sent):
    root = str(uuid4())
    stored_ago(store, minutes, root, 1)
    stored_ago(store, minutes, str(uuid4()), 2, root)

    assert seen(stitcher) == sent


def test_what_an_envelope_of_long_ago_causes_now_is_compared_with_it(store, receiver, stitcher):
    root, child, same = str(uuid4()), str(uuid4()), str(uuid4())
    stored_ago(store, 120, root, 1)
    stored_ago(store, 120, same, 5)
    keep(store, envelope_record(child, root, trace_id=2))
    keep(store, envelope_record(str(uuid4()), same, trace_id=5))

    assert seen(stitcher) == 1
    assert len(receiver.spans(stitched_trace_id(root))) == 2


def test_a_handling_without_its_envelope_is_left_alone(store, stitcher):
    keep(store, delivery_record(str(uuid4())))

    assert seen(stitcher) == 0


def test_a_second_one_sends_the_same(store, receiver, stitcher):
    envelope = pair(store)
    assert seen(stitcher) == 1
    spans = receiver.spans(stitched_trace_id(envelope))

    assert seen(Stitcher(store, Destination(receiver.grpc, {}), after=0)) == 1
    assert receiver.spans(stitched_trace_id(envelope)) == spans


def test_a_chain_that_is_too_long_is_left_in_pieces(
    store, receiver, stitcher, monkeypatch, caplog
):
    monkeypatch.setattr("otelope.stitch.stitcher._MOST_ENVELOPES", 2)
    root = str(uuid4())
    keep(store, envelope_record(root), *(envelope_record(str(uuid4()), root) for _ in range(3)))

    assert seen(stitcher) == 0
    assert said(caplog) == ["a chain of more than 2 envelopes is left in pieces"]


def test_more_chains_than_it_keeps_in_mind_are_left_in_pieces(
    store, stitcher, monkeypatch, caplog
):
    monkeypatch.setattr("otelope.stitch.stitcher._MOST_CHAINS", 2)
    for _ in range(4):
        root = str(uuid4())
        keep(store, envelope_record(root), envelope_record(str(uuid4()), root))

    assert seen(stitcher) == 2
    assert said(caplog) == ["more than 2 chains are in pieces: some are left so"]


def said(caplog):
    return [each.getMessage() for each in caplog.records if each.name.startswith("otelope")]


class Answers:
    """An endpoint whose answer can be changed, and how often it was asked."""

    def __init__(self) -> None:
        self.status = 400
        self.asked = 0


@contextmanager
def endpoint() -> Iterator[tuple[Destination, Answers]]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answers.asked += 1
            self.send_response(answers.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield Destination(url, {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}), answers
        server.shutdown()
        serving.join()


def test_what_was_refused_is_sent_later(store):
    with endpoint() as (destination, answers):
        stitcher = Stitcher(store, destination, after=0)
        pair(store)
        with pytest.raises(CannotSendError, match="400"):
            seen(stitcher)
        answers.status = 200
        assert seen(stitcher) == 1


def test_an_outage_is_told_once_and_survived(store, caplog):
    with endpoint() as (destination, answers):
        stitcher = Stitcher(store, destination, after=0)
        stitcher.start()
        pair(store)
        awaited(lambda: answers.asked >= 3)
        answers.status = 200
        awaited(lambda: stitcher._sent)
        answers.status = 400
        asked = answers.asked
        pair(store)
        awaited(lambda: answers.asked >= asked + 2)
        stitcher.stop()

    assert len(said(caplog)) == 2
    assert all("chains are not stitched for now" in each for each in said(caplog))


def test_a_store_that_fails_is_told_once_and_survived(store, stitcher, caplog):
    store._engine.run("RENAME TABLE deliveries TO away")
    stitcher.start()
    awaited(lambda: said(caplog))
    store._engine.run("RENAME TABLE away TO deliveries")
    pair(store)
    awaited(lambda: stitcher._sent)
    stitcher.stop()

    (once,) = said(caplog)
    assert once.startswith("chains are not looked at for now: ")
