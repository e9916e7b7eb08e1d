"""pulsar-client: Apache Pulsar; `receive`, batches, listeners and readers, and its asyncio."""

from __future__ import annotations

import pulsar

from otelope.core.adapter import Adapter, Site
from otelope.core.carriers import BARE, MAPPING
from otelope.core.sites import Process, Receive, Send, Settle
from otelope.protocols.pulsar import failed, receipt, received, sent


_AIO = "pulsar.asyncio"  # its producer takes properties since 3.9
_AIO_CARRIER = MAPPING if [*map(int, pulsar.__version__.split(".")[:2])] >= [3, 9] else BARE


def sites(of: str, *others: Site) -> tuple[Site, ...]:
    by = f"{of}:Consumer"
    return (
        Send(f"{of}:Producer.send", sent, headers="properties"),
        Receive(f"{by}.receive", lambda got, c: [received(got, c.instance)], shared=True),
        Receive(f"{of}:Reader.read_next", lambda got, _: [received(got)]),
        *(
            Settle(f"{by}.{how}", no, receipts=lambda c: [receipt(c.instance, c["message"])])
            for how, no in (("acknowledge", False), ("negative_acknowledge", True))
        ),
        *(Settle(f"{by}.{how}") for how in ("acknowledge_cumulative", "unsubscribe", "close")),
        Settle(f"{of}:Reader.close"),
        *others,
    )


ADAPTER = Adapter(
    system="pulsar",
    carrier=MAPPING,
    sites=sites(
        "pulsar",
        Send("pulsar:Producer.send_async", sent, headers="properties", told=("callback", failed)),
        Receive(
            "pulsar:Consumer.batch_receive",
            lambda batch, c: [received(each, c.instance) for each in batch],
            shared=True,
        ),
        Process("pulsar:Client.subscribe", lambda c, m: received(m, c), "message_listener"),
        Process("pulsar:Client.create_reader", lambda _, m: received(m), "reader_listener"),
        Settle("pulsar:Client.close", consumers=lambda client: tuple(client._consumers)),  # noqa: SLF001 - public in no version
    ),
    parts=((_AIO, Adapter("pulsar", _AIO_CARRIER, sites(_AIO))),),
    message=lambda item: received(item) if isinstance(item, pulsar.Message) else None,
)
