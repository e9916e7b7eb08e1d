"""
What the services of a shop export, as requests of OTLP: for benchmarks of what takes them.

Ten messages a chain go over a client library without a network, through our own wrappers; the
records are encoded and batched by our own export lane. What measures need not encode any more.
"""

from __future__ import annotations

import json
import random
import time
import uuid

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from benchmarks.application import Client, adapter, instrumented
from otelope.core.kinds import kind_of
from otelope.core.records import EnvelopeRecord, Record
from otelope.core.settings import Settings
from otelope.export.pipeline import Pipeline
from otelope.model.identity import new_id


class Step(NamedTuple):
    """A message of the chain: who sends and who handles it, and by which step it is caused."""

    type: str
    sender: str
    handler: str
    cause: int | None


CHAIN = (
    Step("PlaceOrder", "shop", "orders", None),
    Step("OrderPlaced", "orders", "checkout", 0),
    Step("ChargeCard", "checkout", "payments", 1),
    Step("ReserveStock", "checkout", "stock", 1),
    Step("CardCharged", "payments", "checkout", 2),
    Step("StockReserved", "stock", "checkout", 3),
    Step("ShipOrder", "checkout", "shipping", 4),
    Step("SendInvoice", "checkout", "billing", 4),
    Step("OrderShipped", "shipping", "shop", 6),
    Step("InvoiceSent", "billing", "shop", 7),
)
SERVICES = tuple(dict.fromkeys(step.sender for step in CHAIN))
VERSION = "1.4.2"

_SPANS_A_REQUEST = 512  # the SDK's batches
_TRACES_SAMPLED = 0.2
LINES = 8  # make 1 KB
WORDS = (
    "amber apron arch bamboo basin beacon birch blanket bolt bottle bowl brass brush bucket cabin "
    "canvas cedar chalk clamp clay cloak clock copper cork cotton crate cup desk drill easel "
    "ember felt fern flask flint fork frame glass glove hammer handle hinge hook ink iron jar "
    "kettle kiln knife ladder lamp lantern latch leather lid linen lock maple mallet marble mat "
    "mirror mug nail needle oak oil paint pan paper pearl pen pepper pine pipe plank plate pot "
    "press quilt rack rail rope rug saddle sand saw scale screw seed shelf silk slate soap spade "
    "spoon steel stone stool strap table tape tea tile tin tongs tray twine vase velvet vine "
    "walnut wax wheel willow wire wool"
).split()


class Exported(NamedTuple):
    """
    What was exported.

    Args:
        logs: Requests of the logs service, by the service that sends them.
        spans: Requests of the trace service, of the traces that were sampled.
        envelopes, deliveries, span_count: How many there are.
        envelope_bytes: How long an envelope is in the mean.
    """

    logs: dict[str, list[bytes]]
    spans: dict[str, list[bytes]]
    envelopes: int
    deliveries: int
    span_count: int
    envelope_bytes: float


def exported(chains: int) -> Exported:
    """The requests of all services for so many chains; 0.4 ms of CPU an envelope."""
    shop = _Shop()
    for _ in range(chains):
        shop.take_order()
    return shop.close()


class Bus(Client):
    """A client library whose broker is this process."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, bytes, Any]] = deque()

    def publish(self, topic: str, value: bytes, headers: Any = None) -> None:
        self.waiting.append((topic, value, headers))


class _Handler:
    """The application's callback, which is not of the library's own modules."""

    __module__ = "shop"

    def __init__(self, handle: Callable[[bytes], None]) -> None:
        self._handle = handle

    def __call__(self, _topic: str, value: bytes, _headers: Any) -> None:
        self._handle(value)


class _Captured:
    """A transport whose requests stay here."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests

    def send(self, request: bytes) -> int:
        self._requests.append(request)
        return 0

    def close(self) -> None: ...


class _Ended(SpanProcessor):
    """Keeps the spans, by the service that made them."""

    def __init__(self, service: Callable[[], str]) -> None:
        self.spans: dict[str, list[ReadableSpan]] = {name: [] for name in SERVICES}
        self._service = service

    def on_end(self, span: ReadableSpan) -> None:
        self.spans[self._service()].append(span)


class _Shop:
    """All services in one process; whoever is at work says whose record it is."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        self._at_work = ""
        self._envelopes = self._deliveries = self._bytes = 0
        self._logs: dict[str, list[bytes]] = {name: [] for name in SERVICES}
        self._lanes = {name: self._lane(name) for name in SERVICES}
        self._ended = _Ended(lambda: self._at_work)
        sampler = ParentBased(TraceIdRatioBased(_TRACES_SAMPLED))
        provider = TracerProvider(sampler, Resource(resource("")))
        provider.add_span_processor(self._ended)
        self._patches = instrumented(provider, adapter(Bus), self._record)
        self._bus = Bus()
        self._deliver = self._bus.subscribe("", _Handler(self._handle))
        self._order: dict[str, Any] = {}

    def take_order(self) -> None:
        """One chain from its beginning to its end."""
        self._order = self._new_order()
        self._publish(0, None)
        while self._bus.waiting:
            topic, value, headers = self._bus.waiting.popleft()
            self._at_work = topic.partition(".")[0]
            self._deliver(topic, value, headers)

    def close(self) -> Exported:
        """
        Everything, when the last of it is encoded.

        Raises:
            RuntimeError: Something was not recorded.
        """
        self._patches.remove()
        for lane in self._lanes.values():
            if not lane.flush(60) or not lane.shutdown(60):
                raise RuntimeError(f"not everything was exported: {lane.counters}")
        if self._envelopes != self._deliveries:
            raise RuntimeError(f"{self._envelopes} were sent, {self._deliveries} were handled")
        spans = {name: list(_requests(name, own)) for name, own in self._ended.spans.items()}
        return Exported(
            self._logs,
            spans,
            self._envelopes,
            self._deliveries,
            sum(map(len, self._ended.spans.values())),
            self._bytes / self._envelopes,
        )

    def _lane(self, service: str) -> Pipeline[Record]:
        settings = Settings(export_interval=600, queue_bytes=1 << 30)
        requests = self._logs[service]
        return Pipeline.of_records(
            settings,
            lambda: resource(service),
            kind_of((), ()),
            dict,
            connect=lambda: _Captured(requests),
        )

    def _record(self, record: Record) -> None:
        if isinstance(record, EnvelopeRecord):
            self._envelopes += 1
            self._bytes += len(record.envelope.text or b"")
        else:
            self._deliveries += 1
        self._lanes[self._at_work](record)

    def _handle(self, value: bytes) -> None:
        handled = json.loads(value)
        for position, step in enumerate(CHAIN):
            if step.cause is not None and CHAIN[step.cause].type == handled["type"]:
                self._publish(position, handled["id"])

    def _publish(self, position: int, parent_id: str | None) -> None:
        step = CHAIN[position]
        self._at_work = step.sender
        envelope = {
            "id": new_id(parent_id),
            "timestamp": round(time.time() * 1000, 3),
            "source": {"name": step.sender, "version": VERSION},
            "parentId": parent_id,
            "type": step.type,
            "payload": {**self._order, "lines": [self._line() for _ in range(LINES)]},
        }
        self._bus.publish(f"{step.handler}.{step.type}", json.dumps(envelope).encode())

    def _new_order(self) -> dict[str, Any]:
        """What every message of a chain repeats."""
        draw = self._random
        name = " ".join(self._words(2)).title()
        return {
            "orderId": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            "customer": {
                "id": draw.randrange(10_000_000),
                "name": name,
                "email": f"{name.replace(' ', '.').lower()}@mail.example",
                "street": f"{self._words(1)[0].title()} Street {draw.randrange(1, 300)}",
                "postcode": f"{draw.randrange(100_000):05}",
            },
        }

    def _line(self) -> dict[str, Any]:
        draw = self._random
        return {
            "sku": f"{draw.getrandbits(32):08x}",
            "title": " ".join(self._words(2)),
            "quantity": draw.randrange(1, 9),
            "price": draw.randrange(100, 100_000) / 100,
        }

    def _words(self, count: int) -> list[str]:
        return self._random.choices(WORDS, k=count)


def resource(service: str) -> Mapping[str, str]:
    """The resource of one of the services."""
    return {
        "service.name": service,
        "service.version": VERSION,
        "service.instance.id": str(uuid.uuid5(uuid.NAMESPACE_DNS, service)),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.1",
    }


def _requests(service: str, spans: list[ReadableSpan]) -> Iterator[bytes]:
    rest = iter(spans)
    while some := list(islice(rest, _SPANS_A_REQUEST)):
        request = encode_spans(some)
        for resource_spans in request.resource_spans:
            del resource_spans.resource.attributes[:]
            for key, value in resource(service).items():
                resource_spans.resource.attributes.add(key=key).value.string_value = value
        yield request.SerializeToString()
