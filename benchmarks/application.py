"""What otelope costs the application's thread: a send, a delivery, a message that is neither."""

from __future__ import annotations

import json
import statistics
import time

from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from otelope.codecs import Codecs
from otelope.core.adapter import Adapter
from otelope.core.carriers import PAIRS
from otelope.core.fast_lane import FastTracing
from otelope.core.hand_overs import HandOvers
from otelope.core.instrumenter import Instrumenter
from otelope.core.kinds import kind_of
from otelope.core.lineage import give_lineage
from otelope.core.message import Message
from otelope.core.patching import Patches
from otelope.core.records import Recorder
from otelope.core.settings import Lane, Settings
from otelope.core.sites import Process, Send
from otelope.core.sites.store import Database, Execute
from otelope.core.tracing import Tracing
from otelope.model.identity import identify, new_id


WARM_UP = 10
ROUNDS = 150
BURST = 50


class _Handler:
    """The application's callback, which is not of the library's own modules."""

    __module__ = "application"

    def __call__(self, topic: str, value: bytes, headers: Any) -> None: ...


class Client:
    """A client library without a library: what is measured is what we add."""

    def publish(self, topic: str, value: bytes, headers: Any = None) -> None: ...

    def subscribe(self, _: str, callback: Callable[..., None]) -> Callable[..., None]:
        return callback

    def execute(self, statement: str, row: dict[str, Any]) -> None: ...


class SampledClient(Client):
    """Wrapped, with a sampler that takes all."""

    def publish(self, topic: str, value: bytes, headers: Any = None) -> None: ...

    def subscribe(self, _: str, callback: Callable[..., None]) -> Callable[..., None]:
        return callback

    def execute(self, statement: str, row: dict[str, Any]) -> None: ...


class FastClient(SampledClient):
    """Wrapped, in the fast lane, with a sampler that takes all."""

    def publish(self, topic: str, value: bytes, headers: Any = None) -> None: ...

    def subscribe(self, _: str, callback: Callable[..., None]) -> Callable[..., None]:
        return callback


class UnsampledClient(SampledClient):
    """Wrapped, with a sampler that takes none."""

    def publish(self, topic: str, value: bytes, headers: Any = None) -> None: ...


def adapter(client: type[Client]) -> Adapter:
    """An adapter like that of a Kafka client."""
    target = f"{client.__module__}:{client.__name__}"
    return Adapter(
        system="kafka",
        carrier=PAIRS,
        sites=(
            Send(
                f"{target}.publish",
                lambda call: Message(call["topic"], call["value"], call["headers"]),
            ),
            Process(
                f"{target}.subscribe",
                Message,
                callback="callback",
            ),
            Execute(
                f"{target}.execute",
                Database(name=lambda _: "orders", in_transaction=lambda _: True),
                statement=lambda call: str(call["statement"]),
                rows=lambda call: [call["row"]],
            ),
        ),
    )


def body(parent: str | None = None) -> bytes:
    """A fresh envelope of 1 KB."""
    lines = [{"sku": f"abc{n}", "qty": n, "price": 1.5 * n} for n in range(19)]
    envelope = {
        "id": new_id(parent),
        "timestamp": int(time.time() * 1000),
        "source": {"name": "orders", "version": "1.0"},
        "parentId": parent,
        "type": "OrderPlaced",
        "payload": {"lines": lines},
    }
    return json.dumps(envelope).encode()


def _forget(_: object) -> None: ...


def instrumented(
    provider: TracerProvider, library: Adapter, record: Recorder = _forget, lane: Lane = "compat"
) -> Patches:
    """Our wrappers of a library in place; by default they record into nothing."""
    give_lineage(provider)
    settings = Settings()
    codecs = Codecs({}, settings.max_body_bytes)
    instrumenter = Instrumenter(
        settings,
        codecs.recognise,
        codecs.payload_of,
        kind_of((), ()),
        record,
        Tracing(provider) if lane == "compat" else FastTracing(provider, _forget),
        codecs.candidates,
    )
    patches = Patches(HandOvers())
    problems = patches.put(library, instrumenter)
    if problems:
        raise RuntimeError("; ".join(problems))
    return patches


class Step(NamedTuple):
    """One thing to measure, and what makes a fresh argument for each call."""

    call: Callable[[Any], object]
    argument: Callable[[], Any]


def microseconds(steps: dict[str, Step]) -> dict[str, float]:
    """
    Median CPU time of this thread for one call of each step, in µs.

    The steps take turns, a burst each, so that what the machine does besides burdens all alike.
    """
    measured: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(WARM_UP + ROUNDS):
        for name, (call, argument) in steps.items():
            arguments = [argument() for _ in range(BURST)]
            started = time.thread_time_ns()
            for each in arguments:
                call(each)
            took = time.thread_time_ns() - started
            if round_number >= WARM_UP:
                measured[name].append(took / BURST / 1000)
    return {name: statistics.median(times) for name, times in measured.items()}


def run() -> list[dict[str, Any]]:
    """The goals of the application's thread, as rows of the benchmark table."""
    tracer = TracerProvider().get_tracer("bare")
    headers = [("tenant", b"acme")]
    other = json.dumps({"rows": [{"a": n} for n in range(100)]}).encode()
    row_of = {"id": 7, "name": "widget", "price": 1.5, "tags": other.decode()}
    insert = "INSERT INTO articles VALUES (:id, :name, :price, :tags)"

    def delivered() -> tuple[bytes, list[tuple[str, bytes]]]:
        value = body()
        own = identify(json.loads(value)["id"])
        traceparent = f"00-{own.trace_id:032x}-{own.span_id:016x}-01".encode()
        tracestate = f"otelope={own.span_id:016x}".encode()
        return value, [*headers, ("traceparent", traceparent), ("tracestate", tracestate)]

    # Each has wrappers of its own: one class is wrapped once.
    plain, sampled, fast = Client(), SampledClient(), FastClient()
    unsampled = UnsampledClient()
    sampler = ParentBased(TraceIdRatioBased(0))
    patches = [
        instrumented(TracerProvider(), adapter(SampledClient)),
        instrumented(TracerProvider(), adapter(FastClient), lane="fast"),
        instrumented(TracerProvider(sampler=sampler), adapter(UnsampledClient)),
    ]
    handler = sampled.subscribe("orders", _Handler())
    fast_handler = fast.subscribe("orders", _Handler())
    try:
        cost = microseconds(
            {
                "span": Step(lambda _: tracer.start_span("bare").end(), lambda: None),
                "loads": Step(json.loads, body),
                "plain": Step(lambda value: plain.publish("orders", value, headers), body),
                "send": Step(lambda value: sampled.publish("orders", value, headers), body),
                "send_fast": Step(lambda value: fast.publish("orders", value, headers), body),
                "other": Step(lambda value: sampled.publish("orders", value), lambda: other),
                "deliver": Step(lambda got: handler("orders", got[0], got[1]), delivered),
                "deliver_fast": Step(
                    lambda got: fast_handler("orders", got[0], got[1]), delivered
                ),
                "plain_store": Step(lambda row: plain.execute(insert, row), lambda: row_of),
                "store": Step(lambda row: sampled.execute(insert, row), lambda: row_of),
                "unsampled": Step(lambda value: unsampled.publish("orders", value, headers), body),
            }
        )
    finally:
        for each in patches:
            each.remove()

    def row(name: str, added: float, goal: float) -> dict[str, Any]:
        return {"name": name, "ratio": round(added / cost["span"], 3), "unit": "S", "goal": goal}

    return [
        {"name": "S_us", "ratio": round(cost["span"], 2), "unit": "µs", "goal": None},
        {"name": "J_us", "ratio": round(cost["loads"], 2), "unit": "µs", "goal": None},
        row("send", cost["send"] - cost["plain"], 2.5),
        row("deliver", cost["deliver"], 2.7),
        row("send_fast", cost["send_fast"] - cost["plain"], 2.5),
        row("deliver_fast", cost["deliver_fast"], 2.7),
        row("send_unsampled", cost["unsampled"] - cost["plain"], 0.5),
        row("send_not_envelope", cost["other"] - cost["plain"], 0.2),
        row("store_not_envelope", cost["store"] - cost["plain_store"], 0.6),
    ]


if __name__ == "__main__":
    for measured in run():
        print(measured)
