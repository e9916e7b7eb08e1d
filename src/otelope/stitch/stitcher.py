"""Stitches what comes apart, as it arrives."""

from __future__ import annotations

import logging
import threading
import time

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice

from otelope.stitch.destination import CannotSendError, Destination
from otelope.stitch.spans import chain_spans, trace_ids_of
from otelope.store import Store, StoreError, questions


_logger = logging.getLogger(__name__)

_SECOND = 1_000_000  # µs, the unit of moments here
_LOOK_BACK = 3600 * _SECOND
# So much of what arrived is looked at by one question: with 10 M envelopes in the store 0.4 s for
# the last minutes, 1.1 s for an hour ago.
_SLICE = 60 * _SECOND
# Blocks become visible a little after the moment that their rows say.
_HOLD_BACK = _SECOND
# For looking, and again for sending.
_LONGEST_SECONDS = 5.0
_MOST_CHAINS = 10_000
_MOST_ENVELOPES = 10_000
_TRACES_WATCHED = 20_000
_IDS_AT_ONCE = 4000


class Stitcher:
    """
    Stitches chains in pieces, each once nothing of it has arrived for a while; again if it grows.

    It looks only at what has arrived since it last looked, and at the hour before it started. What
    it knows is in memory: a second one, or the next, sends the same spans. A chain of more than
    10,000 envelopes is left to `otelope stitch`.

    Args:
        store: Where the records are.
        destination: Where the spans go; closed by `stop`.
        after: For so many seconds nothing must have arrived.
    """

    def __init__(self, store: Store, destination: Destination, after: float) -> None:
        self._store = store
        self._destination = destination
        self._quiet = int(after * _SECOND)
        self._every = min(5.0, max(1.0, after / 4))
        self._position: int | None = None
        # By an envelope of each chain: when something of it arrived last, until it is stitched.
        self._waiting: dict[str, int] = {}
        self._watched: OrderedDict[str, str] = OrderedDict()
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._said: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otelope-stitch")

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, also in the middle of sending; the next start finds again what was not sent."""
        self._stopped.set()
        self._destination.close()
        self._thread.join()

    def tick(self) -> int:
        """
        Look at what has arrived, and send what is quiet; how many chains were sent.

        Raises:
            StoreError, CannotSendError: The rest is done by the next call.
        """
        looked_until = self._look()
        self._said.discard("store")
        sent = 0
        deadline = time.monotonic() + _LONGEST_SECONDS
        for member, last in list(self._waiting.items()):
            if self._stopped.is_set() or time.monotonic() > deadline:
                break
            if last + self._quiet <= looked_until and member in self._waiting:
                sent += self._stitch(member, looked_until)
        return sent

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self.tick()
            except StoreError as error:
                self._say("store", f"chains are not looked at for now: {error}")
            except CannotSendError as error:
                if not self._stopped.is_set():
                    self._say("sending", f"chains are not stitched for now: {error}")

    def _look(self) -> int:
        ((clock,),) = self._store.ask("stitch_clock")
        now = int(clock) - self._store.hold_back_ms * 1000 - _HOLD_BACK
        if self._position is None:
            self._position = now - _LOOK_BACK
        deadline = time.monotonic() + _LONGEST_SECONDS
        while self._position < now and time.monotonic() < deadline and not self._stopped.is_set():
            until = min(now, self._position + _SLICE)
            self._look_between(self._position, until)
            self._position = until
        return self._position

    def _look_between(self, since: int, until: int) -> None:
        for trace_ids in _portions(self._watched):
            arrived = self._store.ask(
                "stitch_arrivals", since=since, until=until, trace_ids=trace_ids
            )
            for trace_id, last in arrived:
                self._wait(self._watched[trace_id], int(last))
        for member, found, last in self._cuts(since, until):
            known = next((self._watched[each] for each in found if each in self._watched), member)
            self._watch(found, known)
            self._wait(known, last)

    def _cuts(self, since: int, until: int) -> Iterator[tuple[str, set[str], int]]:
        """Where chains come apart: an envelope of the chain, the traces, what arrived last."""
        rows = self._store.ask("stitch_cuts", since=since, until=until, limit=_MOST_CHAINS)
        if len(rows) == _MOST_CHAINS:
            self._say_many()
        traces: dict[str, set[str]] = {}
        for ids in _portions(cut for cut, *_, known, _ in rows if not known):
            for envelope_id, trace_id in self._store.ask("stitch_traces", ids=ids):
                traces.setdefault(envelope_id, set()).add(trace_id)
        for cut, member, trace_ids, _, last in rows:
            found = traces.get(cut, set()).union(trace_ids) - {""}
            recorded = cut if cut in traces else member
            if len(found) > 1 and recorded:
                yield recorded, found, int(last)

    def _wait(self, member: str, last: int) -> None:
        if member not in self._waiting and len(self._waiting) >= _MOST_CHAINS:
            self._say_many()
            return
        self._waiting[member] = max(last, self._waiting.get(member, 0))

    def _watch(self, trace_ids: Iterable[str], member: str) -> None:
        for trace_id in trace_ids:
            self._watched[trace_id] = member
            self._watched.move_to_end(trace_id)
        while len(self._watched) > _TRACES_WATCHED:
            self._watched.popitem(last=False)

    def _stitch(self, member: str, looked_until: int) -> bool:
        tree = questions.tree(self._store, member, _MOST_ENVELOPES)
        last = self._waiting.pop(member)
        if not isinstance(tree, dict):
            return False
        trace_ids = trace_ids_of(tree)
        if len(trace_ids) < 2:  # noqa: PLR2004 - in pieces
            return False
        # The parts of a chain were perhaps found one by one.
        others = {self._watched.get(each, member) for each in trace_ids} - {member}
        last = max([last, *(self._waiting.pop(each, 0) for each in others)])
        self._watch(trace_ids, member)
        if tree["truncated"]:
            self._say(
                "long", f"a chain of more than {_MOST_ENVELOPES} envelopes is left in pieces"
            )
            return False
        if last + self._quiet > looked_until:
            self._waiting[member] = last
            return False
        root_id = tree["root"]["id"]
        spans = list(chain_spans(tree))
        content = hash(tuple(span.to_json(indent=None) for span in spans))
        if self._sent.get(root_id) == content:
            return False
        try:
            self._destination.send(spans)
        except CannotSendError:
            self._waiting[member] = last
            raise
        self._said.discard("sending")
        self._sent[root_id] = content
        self._sent.move_to_end(root_id)
        while len(self._sent) > _MOST_CHAINS:
            self._sent.popitem(last=False)
        return True

    def _say_many(self) -> None:
        self._say("many", f"more than {_MOST_CHAINS} chains are in pieces: some are left so")

    def _say(self, about: str, text: str) -> None:
        if about not in self._said:
            self._said.add(about)
            _logger.warning("%s", text)


def _portions(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(list(ids))
    while some := list(islice(rest, _IDS_AT_ONCE)):
        yield some
